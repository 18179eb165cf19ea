"""Workers: the same batches from other processes, and what happens when things go wrong."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numbanet import data, set_seed
from numbanet.data import DataLoader, TensorDataset
from numbanet.errors import ArgumentError, WorkerError
from numbanet.initializers import shared_generator
from numbanet.tensors.tensor import Tensor

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    "forkserver" not in multiprocessing.get_all_start_methods(), reason="needs POSIX"
)


class Images(data.Dataset):
    """Arrays of a size that changes, so that blocks must grow."""

    def __len__(self) -> int:
        return 11

    def __getitem__(self, index: int) -> Any:
        return {"image": np.full((index // 4 + 1, 50), index, np.float32), "name": str(index)}


class Seeds(data.Dataset):
    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> Any:
        info = data.get_worker_info()
        assert info is not None
        assert info.dataset is self
        draws = (random.random(), np.random.random(), shared_generator().random())
        return (info.id, info.num_workers, info.seed, os.getpid(), *draws)


class Broken(data.Dataset):
    def __init__(self, error: Any) -> None:
        self.error = error

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> int:
        if index == 5:
            self.error()
        return index


class Shares(data.IterableDataset):
    """Each worker has its share: 0 has all but two samples."""

    def __iter__(self) -> Any:
        info = data.get_worker_info()
        assert info is not None
        return iter(range(10) if info.id == 0 else range(100, 102))


class UnpicklableError(Exception):
    def __init__(self, a: int, b: int) -> None:
        super().__init__("two arguments")


def raise_key_error() -> None:
    raise KeyError("lost", 5)


def raise_unpicklable() -> None:
    raise UnpicklableError(1, 2)


def die() -> None:
    os._exit(3)


def sleep() -> None:
    time.sleep(60)


def fail_to_start(worker: int) -> None:
    raise RuntimeError(f"no start of {worker}")


def keep(samples: list[Any]) -> list[Any]:
    return samples


def plain(batch: Any) -> Any:
    if isinstance(batch, Tensor):
        return batch.numpy().tolist()
    if isinstance(batch, dict):
        return {key: plain(part) for key, part in batch.items()}
    return [plain(part) for part in batch] if isinstance(batch, list) else batch


def blocks() -> set[str]:
    """Blocks of shared memory that loaders of this process have made."""
    folder = Path("/dev/shm")
    return (
        {path.name for path in folder.glob(f"nb{os.getpid():x}_*")}
        if folder.exists()
        else set()
    )


@pytest.fixture(autouse=True)
def nothing_is_left() -> Any:
    before = blocks()
    yield
    assert not multiprocessing.active_children()
    assert blocks() <= before


@pytest.mark.parametrize("method", ["forkserver", "fork"])
def test_batches_are_those_of_one_process(method: str) -> None:
    if method == "fork" and sys.version_info >= (3, 12):
        pytest.skip("Python warns of forking a process with threads")
    for dataset, settings in (
        (Images(), {"batch_size": 2, "sampler": [0, 1, 4, 5, 8, 9, 10, 8, 2]}),
        (Images(), {"batch_size": None, "prefetch_factor": 1}),
        (TensorDataset(np.arange(20.0), np.zeros((20, 0))), {"batch_size": 3}),
    ):
        settings_here = {k: v for k, v in settings.items() if k != "prefetch_factor"}
        expected = [plain(batch) for batch in DataLoader(dataset, **settings_here)]
        loader = DataLoader(dataset, num_workers=2, multiprocessing_context=method, **settings)
        assert [plain(batch) for batch in loader] == expected


def test_the_order_does_not_depend_on_workers() -> None:
    def order(workers: int) -> Any:
        generator = data.Generator().manual_seed(3)
        dataset = TensorDataset(np.arange(20))
        loader = DataLoader(dataset, 4, True, num_workers=workers, generator=generator)
        return [plain(batch) for batch in loader]

    assert order(0) == order(2)


def test_batches_are_their_readers_own() -> None:
    loader = DataLoader(Images(), 1, num_workers=1, prefetch_factor=1)
    batches = list(loader)
    assert [plain(batch["image"])[0][0][0] for batch in batches] == list(range(11))


def test_seeds_differ_and_come_from_the_generator() -> None:
    def epochs(seed: int, persistent: bool = False) -> Any:
        generator = data.Generator().manual_seed(seed)
        loader = DataLoader(
            Seeds(), None, num_workers=2, generator=generator, persistent_workers=persistent
        )
        return [[tuple(sample[:3] + sample[4:]) for sample in loader] for _ in range(2)]

    first, second = epochs(1)
    assert [sample[:2] for sample in first] == [(0, 2), (1, 2)] * 4
    assert len({sample[3:] for sample in first + second}) == 16
    assert len({sample[2] for sample in first + second}) == 4
    assert epochs(1) == [first, second] != epochs(2)
    first, second = epochs(1, persistent=True)
    assert len({sample[2] for sample in first + second}) == 2
    assert len({sample[3:] for sample in first + second}) == 16


def test_persistent_workers_stay() -> None:
    loader = DataLoader(Seeds(), None, num_workers=2, persistent_workers=True)
    processes = [{sample[3] for sample in loader} for _ in range(3)]
    assert len(processes[0]) == 2
    assert processes[0] == processes[1] == processes[2]


def test_persistent_workers_outlive_an_epoch_that_was_broken_off() -> None:
    loader = DataLoader(Images(), None, num_workers=2, persistent_workers=True)
    names = [str(index) for index in range(11)]
    for taken in (1, 5, 11):
        for _, sample in zip(range(taken), loader, strict=False):
            process = sample["name"]
        assert process == str(taken - 1)
        assert [sample["name"] for sample in loader] == names
    old = iter(loader)
    next(old)
    assert [sample["name"] for sample in loader] == names
    with pytest.raises(WorkerError, match="another iteration"):
        next(old)
    assert [sample["name"] for sample in loader] == names


@pytest.mark.parametrize("batch_size", [None, 3])
def test_streams_take_turns(batch_size: int | None) -> None:
    loader = DataLoader(Shares(), batch_size, num_workers=2, persistent_workers=True)
    expected = {
        None: [0, 100, 1, 101, 2, 3, 4, 5, 6, 7, 8, 9],
        3: [[0, 1, 2], [100, 101], [3, 4, 5], [6, 7, 8], [9]],
    }
    for _ in range(2):
        assert [plain(batch) for batch in loader] == expected[batch_size]


def test_streams_take_turns_as_torchs_do() -> None:
    torch = pytest.importorskip("torch")

    class TheirShares(torch.utils.data.IterableDataset):
        def __iter__(self) -> Any:
            info = torch.utils.data.get_worker_info()
            return iter(range(10) if info.id == 0 else range(100, 102))

    if sys.version_info >= (3, 12):
        pytest.skip("Python warns of forking a process with threads")
    for settings in ({"batch_size": 3}, {"batch_size": 4, "drop_last": True}):
        expected = [
            batch.tolist()
            for batch in torch.utils.data.DataLoader(
                TheirShares(), num_workers=2, multiprocessing_context="fork", **settings
            )
        ]
        assert [
            plain(batch) for batch in DataLoader(Shares(), num_workers=2, **settings)
        ] == expected


def test_an_error_comes_with_the_workers_traceback() -> None:
    loader = DataLoader(Broken(raise_key_error), 2, num_workers=2)
    batches = []
    with pytest.raises(KeyError) as caught:
        batches.extend(plain(batch) for batch in loader)
    assert batches == [[0, 1], [2, 3]]
    assert caught.value.args == ("lost", 5)
    assert isinstance(caught.value.__cause__, WorkerError)
    assert "in raise_key_error" in str(caught.value.__cause__)
    assert "in worker 0" in str(caught.value.__cause__)


def test_an_error_that_cannot_travel() -> None:
    with pytest.raises(WorkerError, match="UnpicklableError: two arguments"):
        list(DataLoader(Broken(raise_unpicklable), 2, num_workers=1))


def test_a_batch_that_cannot_travel() -> None:
    loader = DataLoader(Broken(sleep), 1, num_workers=1, collate_fn=_unpicklable_batch)
    with pytest.raises((AttributeError, WorkerError), match="lambda"):
        next(iter(loader))


def _unpicklable_batch(samples: list[Any]) -> Any:
    return lambda: samples


def test_an_error_at_the_start() -> None:
    with pytest.raises(RuntimeError, match="no start of 0"):
        list(DataLoader(Images(), num_workers=1, worker_init_fn=fail_to_start))


def test_workers_start_anew_after_an_error() -> None:
    loader = DataLoader(Broken(raise_key_error), 1, num_workers=1, persistent_workers=True)
    for _ in range(2):
        with pytest.raises(KeyError):
            list(loader)


def test_a_worker_that_dies() -> None:
    with pytest.raises(WorkerError, match="exit code is 3"):
        list(DataLoader(Broken(die), 1, num_workers=2))


def test_a_worker_that_is_late() -> None:
    with pytest.raises(WorkerError, match="gave no batch within 0"):
        list(DataLoader(Broken(sleep), 8, num_workers=1, timeout=0.2))


def test_a_data_set_that_cannot_travel() -> None:
    with pytest.raises(ArgumentError, match="cannot be sent to a worker"):
        list(DataLoader(Broken(lambda: None), num_workers=1))


def test_unknown_start_method() -> None:
    with pytest.raises(ArgumentError, match="multiprocessing_context"):
        list(DataLoader(Images(), num_workers=1, multiprocessing_context="magic"))


def test_own_collation_and_objects() -> None:
    loader = DataLoader(Images(), 2, sampler=[0, 10], num_workers=1, collate_fn=keep)
    ((first, second),) = loader
    assert (first["name"], second["image"].shape) == ("0", (3, 50))
    second["image"][:] = 1
    assert first["image"].max() == 0


def test_breaking_off_leaves_nothing() -> None:
    for batch in DataLoader(Images(), 1, num_workers=2):
        assert batch["name"] == ["0"]
        assert blocks() or not Path("/dev/shm").exists()
        break
    # The iterator is gone with the loop, and its workers with it.
    assert not multiprocessing.active_children()


SCRIPT = """
    import os, sys, time
    import numpy as np
    from numbanet.data import DataLoader, Dataset

    class Slow(Dataset):
        def __len__(self):
            return 1000

        def __getitem__(self, index):
            time.sleep(0.05)
            return np.full(1000, index), os.getpid()

    if {guard}:
        seen = set()
        for _, process in DataLoader(Slow(), None, num_workers=2, persistent_workers=True):
            if process not in seen:
                seen.add(process)
                print(process, flush=True)
"""


def run_script(tmp_path: Path, guard: str = "__name__ == '__main__'") -> Any:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT.format(guard=guard)))
    return subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")")[-1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(processes: list[int]) -> None:
    deadline = time.monotonic() + 20
    while any(map(is_alive, processes)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(is_alive, processes))


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_its_parent(tmp_path: Path, number: int) -> None:
    parent = run_script(tmp_path)
    workers = [int(parent.stdout.readline()) for _ in range(2)]
    assert all(map(is_alive, workers))
    if number == signal.SIGINT:
        os.killpg(parent.pid, number)
    else:
        os.kill(parent.pid, number)
    _, errors = parent.communicate(timeout=30)
    wait_until_gone(workers)
    if number == signal.SIGINT:
        assert errors.count("KeyboardInterrupt") == 1
        assert "leaked" not in errors


def test_a_script_without_guard_is_told_so(tmp_path: Path) -> None:
    parent = run_script(tmp_path, guard="True")
    _, errors = parent.communicate(timeout=60)
    assert parent.returncode == 1
    assert "if __name__ == '__main__'" in errors


def test_set_seed_decides_on_the_seeds() -> None:
    def seeds() -> Any:
        set_seed(9)
        return {sample[2] for sample in DataLoader(Seeds(), None, num_workers=2)}

    assert seeds() == seeds()
