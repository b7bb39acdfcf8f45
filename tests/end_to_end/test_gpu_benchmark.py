"""The script that waits for a GPU runs to its end without one."""

import json

import pytest

from benchmarks import gpu


@pytest.mark.slow  # the official networks are large
def test_the_benchmark_of_a_gpu_ends_on_a_cpu(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["gpu", "--device", "cpu", "--quick"])
    gpu.main()
    frechet, *trainings = map(json.loads, capsys.readouterr().out.splitlines())
    assert frechet["Fréchet distance"] == [500, 32]
    assert 0.5 < frechet["value"] < 2  # of two samples of one distribution: some 32^2 / 500 / 2
    assert [one["recipe"] for one in trainings] == ["wae-mmd", "wae-gan", "vae"]
    for one in trainings:
        assert one["ms a step"] > 0
        assert one["TFLOP/s"] >= 0
        assert one["share of the bf16 peak"] is None  # of a CPU none is known
