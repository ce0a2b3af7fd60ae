"""Decoding workers: every item is answered, whatever becomes of the worker, and a worker can do little else."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest
from PIL import Image

from cv_assets.domain.probing import probe
from cv_assets_tests.domain.images import encode, noise, picture
from resources.engine import Engine, Item
from resources.settings import PROJECT_ROOT
from resources.working import STAFF
from schemas.errors import StoreError
from schemas.images import Limits

PROBE = {"limits": {}}
PNG = encode(picture(), "PNG")
LARGE = encode(noise((700, 700)), "PNG")  # 1.5 MB, a pipe holds 64 kB
WORKER = "resources.worker"


@pytest.fixture
def large(tmp_path):
    (tmp_path / "large.png").write_bytes(LARGE)
    return tmp_path / "large.png"


@pytest.fixture(autouse=True)
def none_is_there_before_and_none_but_those_that_rest_afterwards():
    STAFF.dismiss()
    yield
    STAFF.dismiss()
    deadline = time.monotonic() + 5
    while (left := workers()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


def workers():
    """The living workers of this process."""
    return [child for child in psutil.Process().children() if WORKER in " ".join(command_of(child))]


def command_of(process):
    """Its command line; none if it has ended, whether somebody asked for its status or not."""
    with suppress(psutil.ZombieProcess, psutil.NoSuchProcess):
        return process.cmdline()
    return []


def wait_until(holds, seconds=20):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"it did not come about within {seconds} s"
        time.sleep(0.005)


def first_worker():
    """The only worker, as soon as it lives."""
    wait_until(workers)
    return workers()[0]


def reasons(answers):
    return [answer["rejected"]["reason"] if "rejected" in answer else "accepted" for _, answer in answers]


def run_aside(engine, items):
    """Start the work on another thread; returns the thread and the list that its answers go to."""
    answers = []
    thread = threading.Thread(target=lambda: answers.extend(engine.run("probe", PROBE, items)))
    thread.start()
    return thread, answers


def test_every_item_is_answered_in_order(tmp_path):
    for number in range(70):
        (tmp_path / f"{number}.png").write_bytes(PNG if number % 7 else b"\x89PNG\r\n\x1a\n")
    items = [Item(str(number), tmp_path / f"{number}.png") for number in range(70)]
    answers = list(Engine(workers=2).run("probe", PROBE, iter(items)))
    assert [item for item, _ in answers] == items
    assert reasons(answers) == ["accepted" if number % 7 else "undecodable" for number in range(70)]


def test_a_path_and_a_function_that_fetches_the_bytes_give_the_same_answers(tmp_path):
    payloads = [PNG, LARGE, PNG[:-40], b"", b"x", LARGE[:-1]]
    for number, data in enumerate(payloads):
        (tmp_path / str(number)).write_bytes(data)
    engine = Engine(workers=1)
    paths = engine.run("probe", PROBE, [Item(str(n), tmp_path / str(n)) for n in range(6)])
    fetched = engine.run("probe", PROBE, [Item(str(n), lambda data=data: data) for n, data in enumerate(payloads)])
    assert [answer for _, answer in paths] == [answer for _, answer in fetched]


def test_an_answer_has_all_that_the_probe_found_and_the_hash_of_the_bytes(tmp_path):
    (tmp_path / "small.png").write_bytes(PNG)
    ((_, answer),) = Engine(workers=1).run("probe", PROBE, [Item("small", tmp_path / "small.png")])
    found = json.loads(json.dumps(asdict(probe(PNG, Limits()))))
    assert answer == {"sha256": hashlib.sha256(PNG).hexdigest(), "probe": found}


def test_no_items_start_no_worker():
    assert list(Engine().run("probe", PROBE, [])) == []


def test_an_image_that_needs_more_memory_than_a_worker_has_is_the_only_one_refused(tmp_path):
    (tmp_path / "wide.png").write_bytes(encode(Image.new("RGB", (7_500, 7_500)), "PNG"))
    (tmp_path / "small.png").write_bytes(PNG)
    items = [Item(name, tmp_path / f"{name}.png") for name in ("small", "wide", "small", "small")]
    answers = list(Engine(workers=1, memory_bytes=300_000_000).run("probe", PROBE, items))
    assert reasons(answers) == ["accepted", "memory-over-limit", "accepted", "accepted"]


def test_a_worker_that_is_killed_is_replaced_and_its_items_are_done_again(large):
    thread, answers = run_aside(Engine(workers=1), [Item(str(number), large) for number in range(128)])
    killed = set()
    for done in (16, 64):
        wait_until(lambda done=done: len(answers) >= done)
        (worker,) = workers()
        killed.add(worker.pid)
        worker.kill()
    thread.join(60)
    assert len(killed) == 2
    assert reasons(answers) == ["accepted"] * 128


def test_large_answers_that_come_while_a_large_batch_is_still_sent_hold_up_nobody(tmp_path):
    deep = tmp_path.joinpath(*["d" * 200] * 17)  # 64 such paths are more than pipes hold
    deep.mkdir(parents=True)
    (deep / "noise.png").write_bytes(encode(noise((300, 300)), "PNG"))
    items = [Item(str(number), deep / "noise.png") for number in range(140)]
    pids, keys = set(), []
    for item, found in Engine(workers=1, seconds=5).run("thumbnail", {"limits": {}, "side_px": 300}, items):
        assert sorted(found) == ["bytes", "sha256"]
        keys.append(item.key)
        pids |= {worker.pid for worker in workers()}
    assert keys == [item.key for item in items]
    assert len(pids) == 1  # none was taken for one that hangs


def test_an_item_that_cannot_be_read_is_an_error_of_the_store_and_not_a_bad_image(tmp_path):
    (tmp_path / "small.png").write_bytes(PNG)
    items = [Item(str(number), tmp_path / ("gone.png" if number == 5 else "small.png")) for number in range(20)]
    with pytest.raises(StoreError, match=r"cannot read the bytes of 5: FileNotFoundError"):
        list(Engine(workers=1).run("probe", PROBE, items))


def test_an_image_that_takes_longer_than_allowed_is_refused_and_says_so(tmp_path):
    (tmp_path / "wide.png").write_bytes(encode(Image.new("RGB", (7_500, 7_500)), "PNG"))
    answers = list(Engine(workers=1, seconds=0.05).run("probe", PROBE, [Item("wide", tmp_path / "wide.png")]))
    assert answers[0][1] == {"rejected": {"reason": "time-over-limit", "detail": "took longer than 0.05 s to decode"}}


@pytest.mark.parametrize("fetched", [False, True], ids=["read by the worker", "sent to the worker"])
def test_a_worker_that_hangs_is_given_up_after_the_time_that_an_image_may_take(large, fetched):
    items = [Item(str(number), (lambda: LARGE) if fetched else large) for number in range(96)]
    thread, answers = run_aside(Engine(workers=1, seconds=2), items)
    worker = first_worker()
    wait_until(lambda: answers)  # until its first one it may be starting, for which it has longer
    worker.send_signal(signal.SIGSTOP)
    try:
        # its end, and not that of the work: how long another takes for what was left depends on what else the machine does
        wait_until(lambda: worker not in workers(), seconds=8)
    finally:
        with suppress(psutil.NoSuchProcess):
            worker.kill()  # else this thread would wait for it for ever
        thread.join(60)
    assert len(answers) == 96


def test_bytes_that_come_slowly_are_no_fault_of_the_decoder():
    def fetch():
        time.sleep(1.5)
        return PNG

    assert reasons(Engine(workers=1, seconds=1).run("probe", PROBE, [Item("slow", fetch)])) == ["accepted"]


def test_a_file_that_a_worker_has_no_room_for_is_the_only_one_lost(tmp_path):
    (tmp_path / "small.png").write_bytes(PNG)
    with (tmp_path / "vast.png").open("wb") as opened:
        opened.truncate(400_000_000)
    items = [Item(str(number), tmp_path / ("vast.png" if number == 5 else "small.png")) for number in range(20)]
    answers = list(Engine(workers=1, memory_bytes=300_000_000).run("probe", PROBE, items))
    assert reasons(answers) == ["memory-over-limit" if number == 5 else "accepted" for number in range(20)]


def test_an_image_that_kills_its_decoder_each_time_is_the_only_one_lost_and_says_by_which_signal(tmp_path, monkeypatch):
    (tmp_path / "small.png").write_bytes(PNG)
    deadly = PNG + b"deadly"
    (tmp_path / "deadly.png").write_bytes(deadly)
    program = Path(__file__).with_name("dying_worker.py")
    start = subprocess.Popen

    def start_another(command, **more):
        assert command[1:3] == ["-m", WORKER]
        return start([sys.executable, str(program), hashlib.sha256(deadly).hexdigest(), *command[3:]], **more)

    monkeypatch.setattr("resources.working.subprocess.Popen", start_another)
    items = [Item(str(number), tmp_path / ("deadly.png" if number == 5 else "small.png")) for number in range(20)]
    answers = list(Engine(workers=1).run("probe", PROBE, items))
    assert reasons(answers) == ["decoder-died" if number == 5 else "accepted" for number in range(20)]
    assert answers[5][1]["rejected"]["detail"] == f"the decoder died with signal {signal.SIGSEGV:d}"


def test_a_decoder_that_prints_does_not_spoil_the_answers(tmp_path):
    # libtiff complains on standard error and libjpeg on standard output, as they like
    broken = encode(picture(), "TIFF", compression="tiff_lzw")
    (tmp_path / "a.tif").write_bytes(broken[:200] + bytes(40) + broken[240:])
    (tmp_path / "b.png").write_bytes(PNG)
    items = [Item(name, tmp_path / name) for name in ("a.tif", "b.png")]
    assert reasons(Engine(workers=1).run("probe", PROBE, items))[1] == "accepted"


def test_a_worker_holds_no_credentials_and_little_else_of_the_environment(monkeypatch, large):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    monkeypatch.setenv("DAGSTER_HOME", "/canary")
    monkeypatch.setenv("LD_PRELOAD", "")
    thread, _ = run_aside(Engine(workers=1), [Item(str(number), large) for number in range(32)])
    worker = first_worker()
    environment = Path(f"/proc/{worker.pid}/environ").read_bytes()
    thread.join(60)
    assert b"canary" not in environment
    names = {row.split(b"=")[0].decode() for row in environment.split(b"\0") if row}
    settings = {name for name in names if name.startswith(("OPENBLAS_", "OMP_", "MALLOC_"))}
    assert names - settings <= {"PATH", "PYTHONPATH", "LANG", "LC_CTYPE"}


def test_a_worker_can_write_no_file_and_has_bounded_memory(large):
    thread, _ = run_aside(Engine(workers=1, memory_bytes=1_500_000_000), [Item(str(n), large) for n in range(32)])
    worker = first_worker()
    wanted = {
        psutil.RLIMIT_FSIZE: (0, 0),
        psutil.RLIMIT_CORE: (0, 0),
        psutil.RLIMIT_AS: (1_500_000_000, 1_500_000_000),
        psutil.RLIMIT_NOFILE: (64, 64),
    }
    # it confines itself once its modules are imported
    wait_until(lambda: {limit: worker.rlimit(limit) for limit in wanted} == wanted)
    thread.join(60)


def test_a_worker_shares_no_open_file_with_its_parent(large, tmp_path):
    with (tmp_path / "secret").open("w") as secret:
        os.set_inheritable(secret.fileno(), True)  # Python's own files are not, those of a library in C may be
        thread, _ = run_aside(Engine(workers=1), [Item(str(n), large) for n in range(48)])
        worker = first_worker()
        # past the exec, as its command line is a worker's: what is open now, it was given
        opened = {file.path for file in worker.open_files()}
        thread.join(60)
    assert str(tmp_path / "secret") not in opened


def test_workers_rest_after_their_work_and_are_taken_again_under_the_same_limit(large):
    def probe_with(engine):
        assert reasons(engine.run("probe", PROBE, [Item("large", large)])) == ["accepted"]
        return [worker.pid for worker in workers()]

    first = probe_with(Engine(workers=1))
    assert probe_with(Engine(workers=1, seconds=5)) == first
    assert probe_with(Engine(workers=1).alone()) == first
    assert first != probe_with(Engine(workers=1, memory_bytes=1_500_000_000))


def test_one_that_died_while_it_rested_is_not_taken(large):
    engine = Engine(workers=1)
    assert reasons(engine.run("probe", PROBE, [Item("large", large)])) == ["accepted"]
    (resting,) = workers()
    resting.kill()
    wait_until(lambda: not workers())
    assert reasons(engine.run("probe", PROBE, [Item("large", large)])) == ["accepted"]
    assert resting.pid not in {worker.pid for worker in workers()}


def test_they_can_be_begun_before_there_is_work(large):
    engine = Engine(workers=2)
    engine.begin()
    engine.begin()
    begun = {worker.pid for worker in workers()}
    assert len(begun) == 2
    items = [Item(str(number), large) for number in range(32)]
    assert reasons(engine.run("probe", PROBE, items)) == ["accepted"] * 32
    assert {worker.pid for worker in workers()} == begun


def test_a_fork_starts_workers_of_its_own(large):
    engine = Engine(workers=1)
    assert reasons(engine.run("probe", PROBE, [Item("large", large)])) == ["accepted"]
    (ours,) = workers()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # this process has threads, which a fork leaves behind
        child = os.fork()
    if child == 0:
        status = 2  # of an error: whatever happens, the child must not go on as a second run of the tests
        try:
            answered = reasons(engine.run("probe", PROBE, [Item("large", large)])) == ["accepted"]
            its_own = ours.pid not in {worker.pid for worker in workers()}
            STAFF.dismiss()
            status = 0 if answered and its_own else 1
        finally:
            os._exit(status)
    assert exit_code_of(child, seconds=60) == 0
    assert ours.is_running()


def exit_code_of(child, seconds):
    """How a fork ended. One that hangs, as a fork of a process with threads may, is killed and fails the test."""
    end = time.monotonic() + seconds
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            pytest.fail(f"the fork did not end within {seconds} s")
        time.sleep(0.02)
    return os.waitstatus_to_exitcode(ended[1])


def test_a_crew_that_is_abandoned_half_way_keeps_no_worker_that_owes_answers(large):
    answers = Engine(workers=2).run("probe", PROBE, (Item(str(number), large) for number in range(400)))
    next(answers)
    assert workers()
    answers.close()
    items = [Item(str(number), large) for number in range(4)]
    assert [item.key for item, _ in Engine(workers=1).run("probe", PROBE, items)] == ["0", "1", "2", "3"]


def test_bytes_that_cannot_be_fetched_end_the_work_with_their_own_error(large):
    def fetch():
        raise StoreError("expected an object, found none")

    items = [Item(str(number), fetch if number == 20 else large) for number in range(64)]
    with pytest.raises(StoreError, match="expected an object, found none"):
        list(Engine(workers=2).run("probe", PROBE, items))


def test_a_task_that_no_worker_knows_is_answered_as_a_refusal(large):
    answers = list(Engine(workers=1).run("no such task", PROBE, [Item("a", large)]))
    assert reasons(answers) == ["undecodable"]


def test_items_are_taken_as_they_are_needed():
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield Item(str(taken), lambda: PNG)

    answers = Engine(workers=1).run("probe", PROBE, endless())
    for _ in range(40):
        next(answers)
    answers.close()
    assert taken < 300


def test_a_worker_dies_with_the_process_that_started_it(tmp_path):
    code = (
        "import sys; from pathlib import Path; from resources.engine import Engine, Item\n"
        "for _ in Engine(workers=1).run('probe', {'limits': {}}, (Item(str(n), Path(sys.argv[1])) for n in range(10**6))):\n"
        "    print('going', flush=True)\n"
    )
    (tmp_path / "large.png").write_bytes(LARGE)
    parent = psutil.Popen(
        [sys.executable, "-c", code, str(tmp_path / "large.png")], stdout=subprocess.PIPE, cwd=PROJECT_ROOT
    )
    assert parent.stdout.readline() == b"going\n"
    (worker,) = parent.children()
    parent.kill()
    parent.communicate()
    psutil.wait_procs([worker], timeout=10)
    assert not worker.is_running()
