# The one image of the stack: migration, code server, webserver and daemon differ by their command alone.
# docker-compose.yml names the commands and their health checks.
FROM python:3.11.15-slim-bookworm

# PYTHONPATH: packages named `resources` and `schemas` are on PyPI too; ours come first, from wherever a process starts.
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONPATH=/app \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore \
    DAGSTER_HOME=/dagster \
    HOME=/tmp

# A new volume takes the owner of the folder that it covers.
RUN groupadd --gid 10001 cv-assets \
    && useradd --uid 10001 --gid 10001 --no-create-home --no-log-init --home-dir /tmp --shell /usr/sbin/nologin cv-assets \
    && install --directory --owner 10001 --group 10001 /dagster

WORKDIR /app
COPY requirements.lock ./
RUN pip install --no-cache-dir -r requirements.lock

COPY pyproject.toml README.md ./
COPY schemas ./schemas
COPY resources ./resources
COPY cv_assets ./cv_assets
COPY datasets ./datasets
COPY expectations ./expectations
# The build backend is pinned and gone again before the layer ends. Modes are set because COPY keeps those of the
# checkout, which a strict umask makes unreadable for the user below.
RUN pip install --no-cache-dir --target /tmp/backend hatchling==1.33.0 editables==0.6 \
    && PYTHONPATH=/tmp/backend pip install --no-cache-dir --no-deps --no-build-isolation -e . \
    && rm -r /tmp/backend \
    && python -m compileall -q schemas resources cv_assets \
    && chmod -R a+rX,go-w /app

USER 10001:10001
