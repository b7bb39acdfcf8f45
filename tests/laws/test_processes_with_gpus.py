"""How processes find and leave each other on a machine with GPUs, which stand-ins imitate."""

import pytest
import torch
import torch.distributed as dist
from torch.distributed import distributed_c10d
from torch.testing._internal.distributed.fake_pg import FakeStore

from pushforward import distributed, process_group


@pytest.fixture
def happened(monkeypatch):
    """What the second of two processes does, in order."""
    found, begin, end = [], dist.init_process_group, dist.destroy_process_group

    def joined(backend, store, rank, world_size, timeout):
        found.append(backend)
        begin("fake", rank=rank, world_size=world_size, store=FakeStore())

    def left():
        found.append("left")
        end()

    def aborted():
        found.append("aborted")
        end()

    for name, value in {
        "WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1", "MASTER_ADDR": "none", "MASTER_PORT": "1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda number: found.append(number))
    monkeypatch.setattr(process_group, "_store", dist.HashStore())
    monkeypatch.setattr(dist, "init_process_group", joined)
    monkeypatch.setattr(dist, "destroy_process_group", left)
    monkeypatch.setattr(distributed_c10d, "_abort_process_group", aborted)
    return found


def test_tensors_of_the_cpu_pass_between_processes_with_gpus(happened):
    """NCCL takes none, and a run with ``--device cpu`` has no others."""
    with process_group.joined():
        assert distributed.size() == 2
    assert happened == [1, "cpu:gloo,cuda:nccl", "left"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_process_that_fails_does_not_wait_for_exchanges_that_others_never_come_to(error, happened):
    with pytest.raises(error), process_group.joined():
        raise error
    assert happened == [1, "cpu:gloo,cuda:nccl", "aborted"]
    assert distributed.size() == 1


@pytest.mark.parametrize(
    ("config", "place"), [("cpu:gloo,cuda:nccl", "cpu"), ("cuda:nccl", "cuda"), ("cpu:gloo,cuda:gloo", "cpu")]
)
def test_what_processes_agree_on_is_where_their_group_takes_it(config, place, monkeypatch):
    monkeypatch.setattr(dist, "get_backend_config", lambda: config)
    assert distributed._device() == place
