"""Dataset files: two keys are enough, and every mistake names file, field, value and cure."""

import re
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from cv_assets_tests.bounds import in_cpu_s
from resources.dataset_files import MAX_FILE_BYTES, load_dataset, load_datasets
from resources.settings import PROJECT_ROOT
from schemas.errors import ConfigurationError

NAMED = "name: shapes\nsource: {url: uploads}\n"
NAME_WORDS = "expected lower-case letters from a to z, digits and single underscores, a letter first"

# the file, and words that its message must hold: the field, what was found, what to do
MISTAKES = {
    "no name": ("source: {url: uploads}", ["name", "required"]),
    "no source": ("name: shapes", ["source", "required"]),
    "no url": ("name: shapes\nsource: {}", ["source.url", "required"]),
    "an empty url": ("name: shapes\nsource: {url: ''}", ["source.url", "at least 1 character"]),
    "an unknown key": (NAMED + "anotations: {format: csv}", ["anotations", "did you mean 'annotations'"]),
    "an unknown key inside": (NAMED + "limits: {max_pixel: 9}", ["limits.max_pixel", "did you mean 'max_pixels'"]),
    "a key like no other": (NAMED + "zzz: 1", ["zzz", "known keys are", "annotations"]),
    "shares that do not make one": (NAMED + "split: {train: 0.8, val: 0.3}", ["split", "sum to 1.1", "sum to 1"]),
    "no share for train": (NAMED + "split: {learn: 0.8, val: 0.2}", ["split", "train is required", "learn, val"]),
    "a negative share": (NAMED + "split: {train: 1.5, val: -0.5}", ["split: ", "share of train is 1.5", "more than 0"]),
    "a share of nothing": (NAMED + "split: {train: 1, val: 0}", ["split: ", "share of val is 0.0", "more than 0"]),
    "a share that is no number": (NAMED + "split: {train: many}", ["split.train: found 'many'", "a valid number"]),
    "a share that is not a number": (NAMED + "split: {train: .nan}", ["split: ", "share of train is nan", "more than 0"]),
    "an infinite share": (NAMED + "split: {train: .inf}", ["split: ", "share of train is inf", "more than 0"]),
    "a split that no folder can be called": (NAMED + "split: {train: 0.5, '../up': 0.5}", ["split", "../up"]),
    "a misspelt setting of the split": (NAMED + "split: {train: 1, sead: 3}", ["split: ", "share of sead is 3.0", "more than 0"]),
    "an unknown format": (NAMED + "annotations: {format: cvs}", ["annotations.format", "cvs", "csv"]),
    "a format without its files": (NAMED + "annotations: {format: voc}", ["annotations", "include"]),
    "a pattern that is none": (NAMED + "annotations: {class_pattern: '('}", ["class_pattern", "regular expression"]),
    "a pattern without its group": (NAMED + "annotations: {class_pattern: 'a'}", ["class_pattern", "(?P<label>"]),
    "a group by a column of no table": (NAMED + "group_by: camera", ["group_by: found 'camera'; ", "path_pattern"]),
    "a group by a column of YOLO": (
        NAMED + "group_by: camera\nannotations: {format: yolo, include: [a.txt]}", ["format yolo have none", "path_pattern"]),
    "a group by nothing": (NAMED + "group_by: ''", ["group_by: found ''", "name of a column"]),
    "a group by a blank": (NAMED + "group_by: ' '\nannotations: {format: csv, include: [a.csv]}", ["by: found ' '", "column"]),
    "a size without sense": (NAMED + "shards: {max_bytes: 64XB}", ["shards.max_bytes", "64XB", "64MB"]),
    "a size below the least": (NAMED + "shards: {max_bytes: 1kB}", ["shards.max_bytes", "10000"]),
    "a size beyond all numbers": (NAMED + f"shards: {{max_bytes: '{'9' * 400}GB'}}", ["max_bytes: found '999", "such as 64MB"]),
    "a limit of nothing": (NAMED + "limits: {min_side_px: 0}", ["limits.min_side_px: found 0; ", "greater than or equal to 1"]),
    "a shard format that is not packed": (NAMED + "shards: {formats: [lmdb]}", ["shards.formats", "lmdb", "webdataset"]),
    "a wait without a unit": (NAMED + "uploads: {settle: 300}", ["uploads.settle", "300", "such as 90s, 5m"]),
    "a wait in words": (NAMED + "uploads: {settle: 5 minutes}", ["uploads.settle", "5 minutes", "such as 90s, 5m"]),
    "a wait below nothing": (NAMED + "uploads: {settle: -5m}", ["uploads.settle", "-5m", "such as 90s, 5m"]),
    "half a minute as a share": (NAMED + "uploads: {settle: 0.5m}", ["uploads.settle", "0.5m", "such as 90s, 5m"]),
    "a wait of years": (NAMED + "uploads: {settle: 900d}", ["uploads.settle", "900d", "from 1s to 7d"]),
    "looking all the time": (NAMED + "uploads: {every: 1s}", ["uploads.every", "1s", "from 5s to 1d"]),
    "a version from no file on": (NAMED + "uploads: {min_files: 0}", ["uploads.min_files: found 0; ", "or equal to 1"]),
    "a misspelt key of uploads": (NAMED + "uploads: {setle: 5m}", ["uploads.setle", "did you mean 'settle'"]),
    "uploads that are a word": (NAMED + "uploads: watch", ["uploads: found 'watch'"]),
    "a time of day for a cron string": (NAMED + "schedule: {refresh: '03:00'}", ["schedule.refresh", "03:00", "five"]),
    "six fields": (NAMED + "schedule: {refresh: '0 0 3 * * *'}", ["schedule.refresh", "found 6"]),
    "a macro": (NAMED + "schedule: {refresh: '@daily'}", ["schedule.refresh", "@daily", "five fields"]),
    "an hour of no day": (NAMED + "schedule: {refresh: '0 24 * * *'}", ["schedule.refresh", "hour", "24", "0 to 23"]),
    "a month of no year": (NAMED + "schedule: {refresh: '0 3 1 13 *'}", ["schedule.refresh", "month: found '13'", "1 to 12"]),
    "a range backwards": (NAMED + "schedule: {refresh: '0 9-3 * * *'}", ["schedule.refresh", "hour: found '9-3'", "0 to 23"]),
    "a range without an end": (NAMED + "schedule: {refresh: '0 9- * * *'}", ["schedule.refresh", "hour: found '9-'", "0 to 23"]),
    "a step of nothing": (NAMED + "schedule: {refresh: '*/0 * * * *'}", ["schedule.refresh", "minute: found '*/0'", "such as */2"]),
    "a step without a number": (NAMED + "schedule: {refresh: '*/ * * * *'}", ["refresh", "minute: found '*/';", "such as */2"]),
    "30 February": (NAMED + "schedule: {verify: '0 3 30 2 *'}", ["schedule.verify", "none of its months"]),
    "a time zone of no place": (NAMED + "schedule: {timezone: Mars/Base}", ["schedule.timezone", "Mars/Base", "Europe/"]),
    "a time zone that is a path": (NAMED + "schedule: {timezone: ../../etc}", ["schedule.timezone", "../../etc"]),
    "a share beyond all": (NAMED + "schedule: {verify_share: 1.5}", ["schedule.verify_share: found 1.5; ", "or equal to 1"]),
    "a misspelt key of the schedule": (NAMED + "schedule: {refrehs: 0}", ["schedule.refrehs", "did you mean 'refresh'"]),
    "a freshness below a minute": (NAMED + "freshness: 30s", ["freshness", "30s", "from 1m"]),
    "a freshness without a unit": (NAMED + "freshness: 36", ["freshness", "36", "such as 90s, 5m or 36h"]),
    "an owner who is nobody": (NAMED + "owners: [me]", ["owners: found ['me']", "'me' is neither team:NAME nor"]),
    "an owner whom Dagster refuses": (NAMED + "owners: [jörg@firma.de]", ["owners", "jörg@firma.de", "team:NAME"]),
    "an address that Dagster refuses": (NAMED + "owners: [me@a.photography]", ["owners", "me@a.photography", "team:NAME"]),
    "a format of shards given twice": (
        NAMED + "shards: {formats: [webdataset, webdataset]}", ["shards.formats", "'webdataset' is named twice; remove one"]
    ),
    "no format of shards": (NAMED + "shards: {formats: []}", ["shards.formats", "at least 1"]),
    "a name with a dash": ("name: my-shapes\nsource: {url: uploads}", ["name", "my-shapes", NAME_WORDS]),
    "a name with a newline": ('name: "shapes\\n"\nsource: {url: uploads}', ["name: found 'shapes\\n'", NAME_WORDS]),
    "a name that is a path": ("name: ../up\nsource: {url: uploads}", ["name: found '../up'", NAME_WORDS]),
    "a number for a name": ("name: 7\nsource: {url: uploads}", ["name: found 7; ", "a valid string"]),
    "a list for the source": ("name: shapes\nsource: [uploads]", ["source: found ['uploads']"]),
    "a truth for a side": (NAMED + "limits: {min_side_px: yes}", ["limits.min_side_px: found True; expected a number"]),
    "a truth for a size": (NAMED + "shards: {max_bytes: on}", ["shards.max_bytes: found True; expected a number"]),
    "a truth for a threshold": (
        NAMED + "quality: {drift: {thresholds: {area_px: yes}}}",
        ["quality.drift.thresholds: found", "expected a number"],
    ),
    "a truth for a share": (NAMED + "split: {train: yes}", ["split: found", "train: expected a number, found true"]),
    "a pattern without a list": (
        "name: shapes\nsource: {url: a, include: '*.jpg'}", ["source.include: found '*.jpg'; expected a list, such as ['*.jpg']"]
    ),
    "a misspelt key of a group": (NAMED + "group_by: {path_patern: a}", ["group_by.path_patern", "did you mean 'path_pattern'"]),
    "a list for a group": (NAMED + "group_by: [camera]", ["group_by: found ['camera']", "keys such as path_pattern"]),
    "a misspelt rule": (NAMED + "quality: {rules: {drak: {}}}", ["quality.rules.drak: found an unknown key; did you mean 'dark'?"]),
    "a misspelt setting of a rule": (
        NAMED + "quality: {rules: {dark: {treshold: 1}}}", ["quality.rules.dark.treshold", "did you mean 'threshold'"]
    ),
    "no mapping at all": ("- shapes", ["expected keys", "list"]),
    "nothing at all": ("", ["expected keys", "NoneType"]),
    "a broken bracket": ("name: [shapes", ["cannot be read as YAML", "line"]),
    "a tab": ("name: shapes\nsource:\n\turl: uploads", ["cannot be read as YAML"]),
    "a key given twice": (NAMED + "name: circles", ["given twice", "'name'"]),
    "a key given twice inside": ("name: shapes\nsource: {url: a, url: b}", ["given twice", "'url'"]),
    "an alias": ("name: &a shapes\ndescription: *a\nsource: {url: uploads}", ["aliases"]),
    "an alias bomb": (
        "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        ["aliases"],
    ),
    "a Python object": ("name: !!python/object/apply:os.system ['true']", ["cannot be read as YAML", "python/object"]),
    "a Python name": ("name: !!python/name:os.system", ["cannot be read as YAML", "python/name"]),
    "two documents": (NAMED + "---\n" + NAMED, ["cannot be read as YAML"]),
    "a key that is a list": (NAMED + "[a, b]: 1", ["cannot be read as YAML", "unhashable key"]),
    "a key that is a number": (NAMED + "1: 2", ["1: found 1; ", "should be strings"]),
    "a day that is not in the calendar": (NAMED + "description: 2024-13-45", ["cannot be read as YAML", "1..12"]),
    "a number of 5,000 digits": (NAMED + f"description: {'9' * 5_000}", ["cannot be read as YAML", "5000 digits"]),
    "a number that is none": (NAMED + "description: !!int many", ["cannot be read as YAML"]),
    "a truth that is none": (NAMED + "description: !!bool maybe", ["cannot be read as YAML"]),
    "a mapping that is none": (NAMED + "split: !!map [a]", ["cannot be read as YAML"]),
    "a set that is none": ("!!set [a]", ["cannot be read as YAML"]),
    "a time that is none": (NAMED + "description: !!timestamp soon", ["cannot be read as YAML"]),
    "3,000 brackets": (NAMED + "description: " + "[" * 3_000, ["cannot be read as YAML"]),
    "a variable that is not set": ("name: shapes\nsource: {url: '${NOT_SET_HERE}/a'}", ["source.url", "NOT_SET_HERE", "set it"]),
    "a url of variables that are empty": ("name: shapes\nsource: {url: '${NOT_SET_HERE:-}'}", ["source.url", "leave nothing"]),
    **{
        f"the pattern {pattern}": (
            f"name: shapes\nsource: {{url: a, exclude: ['{pattern}']}}",
            [f"source.exclude.0: found '{pattern}'; matches no file", "such as images/**/*.jpg"],
        )
        for pattern in ("/etc/*", "../*", "a/../b", "./*.jpg", "images/", "!*.jpg")
    },
    **{
        f"the url {url}": (f'name: shapes\nsource: {{url: "{url}"}}', ["source.url: ", *words])
        for url, words in {
            "ftp://h/x": ["expected it to be a local path, file:///FOLDER or s3://BUCKET/PREFIX; found 'ftp://h/x'"],
            "http://169.254.169.254/x": ["found 'http://169.254.169.254/x'"],
            "uploads:x": ["found 'uploads:x'"],
            "s3//bucket/x": ["found 's3//bucket/x'"],
            "file:x/y": ["found 'file:x/y'"],
            "file://host/x": ["found 'file://host/x'"],
            "s3://": ["expected it to name a bucket, such as s3://BUCKET/PREFIX; found 's3://'"],
            "s3:/bucket/x": ["expected it to name a bucket"],
            "s3://<bucket>/in": ["found '<bucket>'"],
            "s3://stor/pre ": ["without blanks at its ends"],
            " ": ["without blanks at its ends"],
            "a\\0b": ["found 'a\\x00b'"],
            "~nobody-of-this-name/x": ["home folder"],
            "${FOO": ["found '${FOO'; write variables as ${VAR} or ${VAR:-default}"],
            "${A:-${B}}/x": ["write variables as"],
            "${FOO-x}": ["write variables as"],
        }.items()
    },
}  # fmt: skip


def write(folder, text, name="shapes.yaml"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(("text", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_said_with_file_field_value_and_cure(tmp_path, text, words):
    path = write(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        load_datasets(tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    said = message.removeprefix(f"{path}: ")  # the path holds digits and the dataset's name whatever is wrong
    assert [word for word in words if word not in said] == []
    assert max(map(len, message.splitlines())) < 700


def test_a_mistake_in_a_choice_is_told_once_and_by_the_keys_of_the_file(tmp_path):
    write(tmp_path, NAMED + "group_by: {path_patern: a}")
    with pytest.raises(ConfigurationError) as caught:
        load_datasets(tmp_path)
    said = [line.removeprefix(f"{tmp_path / 'shapes.yaml'}: ") for line in str(caught.value).splitlines()]
    assert said == [
        "group_by.path_pattern: found nothing; this key is required",
        "group_by.path_patern: found an unknown key; did you mean 'path_pattern'?",
    ]


def test_a_mistake_in_a_list_is_told_once_and_not_as_too_few_members_too(tmp_path):
    write(tmp_path, "name: shapes\nsource: {url: a, include: ['../*']}")
    with pytest.raises(ConfigurationError) as caught:
        load_datasets(tmp_path)
    assert len(str(caught.value).splitlines()) == 1


CLOSED = """
import os, sys
from pathlib import Path
from resources.dataset_files import load_datasets
from schemas.errors import ConfigurationError
if os.geteuid() == 0:  # root may read everything
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
try:
    load_datasets(Path(sys.argv[1]))
except ConfigurationError as error:
    print(error)
"""


@pytest.mark.parametrize("closed", ["datasets", "expectations", "."])
def test_a_folder_that_may_not_be_read_is_said(closed):
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        folders = [Path(made) / name for name in ("datasets", "expectations")]
        for folder in folders:
            folder.mkdir(mode=0o755)
        write(folders[0], NAMED).chmod(0o644)
        (Path(made) / closed).chmod(0)
        command = [sys.executable, "-c", CLOSED, str(folders[0])]
        done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT_ROOT, check=False)
        (Path(made) / closed).chmod(0o755)
    assert re.fullmatch(
        rf"(.*: )?{made}/\w+: cannot be listed: Permission denied; let this user read it\n", done.stdout
    )


def test_all_mistakes_of_all_files_are_said_at_once_a_line_each(tmp_path):
    write(tmp_path, "name: one\nsource: {}\nowners: [me]", "one.yaml")
    write(tmp_path, "name: two\nsource: {url: a}\nzzz: 1", "two.yml")
    write(tmp_path, NAMED)
    with pytest.raises(ConfigurationError) as caught:
        load_datasets(tmp_path)
    assert [line.split(":")[0].rpartition("/")[2] for line in str(caught.value).splitlines()] == [
        "one.yaml",
        "one.yaml",
        "two.yml",
    ]


def test_a_file_that_is_not_utf8_is_named(tmp_path):
    for text in (b"name: gr\xf6sse\nsource: {url: a}", "name: shapes".encode("utf-16"), b"name: a\0b"):
        path = write(tmp_path, text)
        with pytest.raises(ConfigurationError, match="cannot be read as YAML") as caught:
            load_dataset(path)
        assert str(path) in str(caught.value)


def test_a_huge_file_is_not_read(tmp_path):
    path = write(tmp_path, "a: " + "[" * MAX_FILE_BYTES)

    def refused():
        with pytest.raises(ConfigurationError, match="expected at most 1000000 bytes, found 1000003"):
            load_dataset(path)

    in_cpu_s(0.1, refused)


def test_a_name_that_is_not_the_file_name_is_a_mistake(tmp_path):
    write(tmp_path, NAMED, "circles.yaml")
    with pytest.raises(
        ConfigurationError, match="expected 'circles' as in the file's name, found 'shapes'; rename one"
    ):
        load_datasets(tmp_path)


def test_two_files_of_one_dataset_are_a_mistake_and_neither_vanishes(tmp_path):
    write(tmp_path, NAMED, "shapes.yaml")
    write(tmp_path, NAMED + "description: another", "shapes.yml")
    with pytest.raises(ConfigurationError, match=r"shapes\.y"):
        load_datasets(tmp_path)


def test_a_dataset_folder_that_is_not_there_or_a_file_is_said_with_its_setting(tmp_path):
    for folder in (tmp_path / "gone", write(tmp_path, NAMED)):
        with pytest.raises(ConfigurationError, match="set CV_ASSETS_DATASETS"):
            load_datasets(folder)


def test_a_dataset_file_that_is_a_folder_or_a_dangling_link_is_said(tmp_path):
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "link.yaml").symlink_to(tmp_path / "gone")
    with pytest.raises(ConfigurationError) as caught:
        load_datasets(tmp_path)
    assert len(str(caught.value).splitlines()) == 2


def test_name_and_url_are_enough(tmp_path):
    write(tmp_path, NAMED)
    (dataset,) = load_datasets(tmp_path)
    assert dataset.source.url == str(PROJECT_ROOT / "uploads")
    assert dataset.source.include == ("**/*",)
    assert dataset.annotations.format == "folder"
    assert dataset.split.ratios == {"train": 0.7, "val": 0.15, "test": 0.15}
    assert (dataset.split.seed, dataset.split.stratify_by, dataset.split.unlabelled) == (42, "label", "exclude")
    assert dataset.shards.formats == ("webdataset",)
    assert (dataset.limits.max_pixels, dataset.limits.min_side_px) == (64_000_000, 8)


def test_automation_is_asked_for_and_has_defaults(tmp_path):
    (plain,) = load_datasets(write(tmp_path, NAMED).parent)
    assert (plain.uploads, plain.schedule, plain.freshness) == (None, None, None)

    asked = NAMED + "uploads: {}\nschedule: {refresh: 0 3 * * *}\nfreshness: 36h\n"
    dataset = load_dataset(write(tmp_path, asked))
    assert dataset.uploads is not None
    assert dataset.schedule is not None
    assert (dataset.uploads.settle, dataset.uploads.every) == (timedelta(minutes=5), timedelta(minutes=1))
    assert (dataset.uploads.min_files, dataset.freshness) == (1, timedelta(hours=36))
    assert (dataset.schedule.refresh, dataset.schedule.verify) == ("0 3 * * *", None)
    assert (dataset.schedule.timezone, dataset.schedule.verify_share) == ("UTC", 0.1)


DURATIONS = [("90s", 90), ("5m", 300), ("36h", 129_600), ("2d", 172_800), ("01m", 60)]


@pytest.mark.parametrize(("written", "seconds"), DURATIONS)
def test_durations_say_their_unit(tmp_path, written, seconds):
    path = write(tmp_path, NAMED + f"uploads: {{settle: {written}}}")
    uploads = load_dataset(path).uploads
    assert uploads is not None
    assert uploads.settle == timedelta(seconds=seconds)


CRONS = [
    "0 3 * * *",
    "*/15 * * * *",
    "0 3 * * mon-fri",
    "0 0 1,15 * *",
    "5/10 8-18/2 * JAN,jul 7",
    "0 0 30 2,3 1",
    "0 0 29 2 *",
]


@pytest.mark.parametrize("cron", CRONS)
def test_a_cron_string_that_passes_is_one_that_dagster_takes(tmp_path, cron):
    dataset = load_dataset(write(tmp_path, NAMED + f"schedule: {{refresh: '{cron}', timezone: Europe/Berlin}}"))
    assert dataset.schedule is not None
    assert dataset.schedule.refresh is not None
    dg.ScheduleDefinition("a", cron_schedule=dataset.schedule.refresh, job_name="b", execution_timezone="Europe/Berlin")


QUANTITIES = [
    ("64000", 64_000),
    ("64kB", 64_000),
    ("64 KiB", 65_536),
    ("64K", 64_000),
    ("1.5MB", 1_500_000),
    ("1MiB", 1_048_576),
    ("2gb", 2_000_000_000),
    ("100000.0", 100_000),
]


@pytest.mark.parametrize(("written", "size_bytes"), QUANTITIES)
def test_sizes_are_written_as_people_write_them(tmp_path, written, size_bytes):
    path = write(tmp_path, NAMED + f"shards: {{max_bytes: {written}}}")
    assert load_dataset(path).shards.max_bytes == size_bytes


URLS = [
    # as written, and as it is used
    ("uploads/a", f"{PROJECT_ROOT}/uploads/a"),  # from the project's root, wherever the command is run
    ("../a", f"{PROJECT_ROOT.parent}/a"),
    ("/abs/a", "/abs/a"),
    ("s3://bucket/a", "s3://bucket/a"),
    ("file:///abs/a b", "file:///abs/a b"),
    ("${SET_HERE}/b", "/set/b"),
    ("${SET_HERE:-/other}/b", "/set/b"),
    ("${NOT_SET_HERE:-/other}/b", "/other/b"),
    ("${EMPTY_HERE:-/other}/b", "/other/b"),
    ("${NOT_SET_HERE:-rel}/b", f"{PROJECT_ROOT}/rel/b"),
    ("s3://${BUCKET_HERE}/b", "s3://pail/b"),
    ("/a/$SET_HERE/b", "/a/$SET_HERE/b"),  # braces are needed
]


@pytest.mark.parametrize(("written", "used"), URLS)
def test_a_url_is_read_with_the_environment(tmp_path, monkeypatch, written, used):
    monkeypatch.setenv("SET_HERE", "/set")
    monkeypatch.setenv("EMPTY_HERE", "")
    monkeypatch.setenv("BUCKET_HERE", "pail")
    monkeypatch.delenv("NOT_SET_HERE", raising=False)
    assert load_dataset(write(tmp_path, f"name: shapes\nsource: {{url: '{written}'}}")).source.url == used


def test_what_a_variable_holds_is_text_and_no_yaml(tmp_path, monkeypatch):
    monkeypatch.setenv("SET_HERE", "/a}\nname: evil # ${HOME}")
    dataset = load_dataset(write(tmp_path, "name: shapes\nsource: {url: '${SET_HERE}'}"))
    assert (dataset.name, dataset.source.url) == ("shapes", "/a}\nname: evil # ${HOME}")
