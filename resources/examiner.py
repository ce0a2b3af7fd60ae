"""The examiner: a process that holds Great Expectations, which takes seconds to import, and is asked by the one that began it.

Questions come on standard input and answers go to standard output, in JSON; tables come as Arrow IPC streams. Nothing leaves
the process: the context is ephemeral, no file is written, usage statistics and progress bars are off. It ends with its input.
"""

import gc
import importlib
import io
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from string import Template
from types import ModuleType
from typing import Any, Final

import polars as pl

VALUES_SHOWN: Final = 20
TEXT_SHOWN: Final = 200
# a mean may differ in its last bits from one CPU to the next
DIGITS: Final = 9
NICENESS: Final = 10
SUMMARY: Final = "atomic.prescriptive.summary"
TYPE_PREFIX: Final = "expect_"
# of what Great Expectations imports at its start, what no type that a suite may hold asks for: a third of the CPU time
SELDOM_ASKED: Final = ("altair", "scipy.stats")

Question = dict[str, Any]  # key, type with its prefix, kwargs as Great Expectations takes them
Reply = dict[str, Any]  # passed, sentence; problem, or observed, rows, unexpected, unexpected_percent, places


class _Later(ModuleType):
    """Stands for a module, which is imported when something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


class GreatExpectations:
    """One ephemeral context, for as long as the process lives: a context takes a quarter of a second."""

    def __init__(self) -> None:
        for name in SELDOM_ASKED:
            sys.modules.setdefault(name, _Later(name))
        # set before the import: the setting is read then
        os.environ["GX_ANALYTICS_ENABLED"] = "false"
        self._gx: Any = importlib.import_module("great_expectations")
        importlib.import_module("great_expectations.render.renderer.inline_renderer")
        context = self._gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        source = context.data_sources.add_pandas("version")
        self._held = source.get_execution_engine().batch_manager
        self._batches = source.add_dataframe_asset("table").add_batch_definition_whole_dataframe("rows")

    def answer(self, questions: Sequence[Question], frame: pl.DataFrame) -> dict[str, Reply]:
        """Key of each question → the reply, in one pass over the table. No two questions may ask the same."""
        batch = self._batches.get_batch({"dataframe": frame.to_pandas()})
        suite = self._gx.ExpectationSuite(name="suite")
        replies = {one["key"]: refused for one in questions if (refused := self._add(suite, one))}
        result_format = {"result_format": "SUMMARY", "partial_unexpected_count": VALUES_SHOWN}
        for result in batch.validate(suite, result_format=result_format).results:
            replies[result.expectation_config.meta["key"]] = self._reply(result, frame.height)
        self._held.batch_data_cache.clear()  # it would hold the table for as long as the process lives
        self._held.reset_batch_cache()
        return replies

    def _add(self, suite: Any, question: Question) -> Reply | None:
        """Add it to a suite; or say why it is refused, which schemas/expectation_types.py should have seen."""
        make = self._gx.expectations.expectation_configuration.ExpectationConfiguration
        try:
            # add_expectation_configuration() would put it in the place of another one of this type and column
            made = make(type=question["type"], kwargs=question["kwargs"], meta={"key": question["key"]})
            suite.add_expectation(made.to_domain_obj())
        except (TypeError, ValueError) as error:
            return {"passed": False, "sentence": "", "problem": " ".join(str(error).split())[:TEXT_SHOWN]}
        return None

    def _reply(self, result: Any, height: int) -> Reply:
        problem = next(iter(_problems(result.exception_info)), None)
        said = result.result
        is_set = any(name in said for name in ("partial_unexpected_list", "partial_missing_list"))
        if problem is None and not is_set and said.get("observed_value", "") is None:
            problem = f"there is no such figure: rows that are meant: {height}, with a value: none"
        if problem is not None:
            return {"passed": False, "sentence": self._sentence(result), "problem": problem}
        return {
            "passed": bool(result.success),
            "sentence": self._sentence(result),
            "observed": _observed(said),
            "rows": _count(said, "element_count"),
            "unexpected": _count(said, "unexpected_count"),
            "unexpected_percent": plain(said.get("unexpected_percent")),
            "places": [place for place in said.get("partial_unexpected_index_list") or () if isinstance(place, int)],
        }

    def _sentence(self, result: Any) -> str:
        """What Great Expectations calls the expectation in its own documents, as text; empty if it has no words for it."""
        renderer = self._gx.render.renderer.inline_renderer.InlineRenderer
        for content in renderer(render_object=result.expectation_config).get_rendered_content():
            value: Any = content.to_json_dict()["value"]
            if content.name == SUMMARY and value.get("template"):
                words = {name: str(plain(one["value"])) for name, one in (value.get("params") or {}).items()}
                said = " ".join(Template(value["template"]).safe_substitute(words).split())
                return "" if said.startswith(TYPE_PREFIX) else said
        return ""


def plain(value: Any) -> Any:
    """A value as JSON can hold it, and always the same for the same data."""
    if hasattr(value, "item"):  # a number of numpy's
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value][:VALUES_SHOWN]
    return value if isinstance(value, bool | int | None) else str(value)[:TEXT_SHOWN]


def _problems(said: Mapping[str, Any]) -> Iterator[str]:
    """First lines of the errors that an evaluation met: one for all of it, or one a figure that it needed."""
    entries: Iterable[Any] = [said] if "raised_exception" in said else said.values()
    for entry in entries:
        if entry.get("raised_exception"):
            yield str(entry.get("exception_message") or "cannot be evaluated").splitlines()[0][:TEXT_SHOWN]


def _observed(said: Mapping[str, Any]) -> Any:
    """The figure or the values that an aggregate came to; for a set, what is too much and what is missing."""
    if said.get("observed_value") is not None:
        return plain(said["observed_value"])
    sets = {"unexpected": said.get("partial_unexpected_list"), "missing": said.get("partial_missing_list")}
    if "partial_missing_list" not in said:
        return None
    return plain({name: sorted(found, key=str) for name, found in sets.items() if found})


def _count(said: Mapping[str, Any], name: str) -> int | None:
    return None if said.get(name) is None else int(said[name])


def main() -> None:
    """Serve until standard input ends: a line of JSON and a table in, a line of JSON out."""
    # it shall take what the snapshot leaves of the cores; not 19, which would wait for ever on a machine that trains
    os.nice(max(0, NICENESS - os.nice(0)))
    # whatever a library prints must not be taken for an answer
    outgoing = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    gc.disable()  # half a million objects come in to stay: looking for garbage among them takes a sixth of the time
    great_expectations = GreatExpectations()
    gc.freeze()
    gc.enable()
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        frame = pl.read_ipc_stream(io.BytesIO(sys.stdin.buffer.read(asked["size_bytes"])))
        outgoing.write(json.dumps(great_expectations.answer(asked["questions"], frame)).encode() + b"\n")
        outgoing.flush()


if __name__ == "__main__":
    main()
