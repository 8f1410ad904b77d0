"""Trainings on a GPU give what they give on a processor."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from curate import open_shards
from curate.schemas.errors import UsageError
from curate.training.loading.shard_set import ShardSet
from curate.training.torch_backend.dataset import tensors_of
from curate.training.torch_backend.generate import Sampling, load_generator
from curate.training.torch_backend.model import make_model
from curate.training.torch_backend.parallel import process_group
from curate.training.torch_backend.train import train
from curate.training.training_directory import TrainingDirectory
from tests.training.configs import config, held_out, job, losses
from tests.training.shard_sets import CAPTIONS, drawing

OnProcessor = Callable[[Callable[[], None]], None]


def quiet(_: object) -> None:
    pass


def begun(shard_set: ShardSet, folder: Path, on_processor: OnProcessor) -> Path:
    """A checkpoint to start from, written without a GPU."""
    on_processor(lambda: train(job(shard_set, folder, config(), until=1), quiet))
    return TrainingDirectory(folder).checkpoints()[-1]


def test_the_curve_is_that_of_a_processor(
    shard_set: ShardSet, tmp_path: Path, on_processor: OnProcessor
) -> None:
    start = begun(shard_set, tmp_path / "start", on_processor)
    more = {"phase_name": "instruction_tuning", "start_from": start}
    on_processor(lambda: train(job(shard_set, tmp_path / "cpu", config(), **more), quiet))
    train(job(shard_set, tmp_path / "gpu", config(), **more), quiet)
    assert len(losses(tmp_path / "gpu")) == 6
    assert losses(tmp_path / "gpu") == pytest.approx(losses(tmp_path / "cpu"), abs=1e-4)


def test_a_resume_goes_on_with_the_curve(shard_set: ShardSet, tmp_path: Path) -> None:
    made = config(dropout=0.1)
    train(job(shard_set, tmp_path / "whole", made), quiet)
    for until in (3, None):
        train(job(shard_set, tmp_path / "parts", made, until=until), quiet)
    # Some of a GPU's sums take their terms as they come.
    assert losses(tmp_path / "parts") == pytest.approx(losses(tmp_path / "whole"), abs=1e-4)
    ends = [held_out(tmp_path / name)[-1] for name in ("parts", "whole")]
    assert ends[0] == pytest.approx(ends[1], abs=1e-4)


@pytest.mark.parametrize(
    "changes",
    [{}, {"activation_checkpointing": True}, {"activation_checkpointing": True, "compile": True}],
    ids=["plain", "remade", "compiled"],
)
def test_half_precision_keeps_to_the_curve(
    shard_set: ShardSet, tmp_path: Path, changes: dict[str, bool]
) -> None:
    train(job(shard_set, tmp_path / "float32", config()), quiet)
    train(job(shard_set, tmp_path / "half", config(precision="bfloat16", **changes)), quiet)
    assert losses(tmp_path / "half") == pytest.approx(losses(tmp_path / "float32"), abs=0.05)


def test_a_generator_writes_what_it_writes_on_a_processor(
    shard_set: ShardSet, tmp_path: Path, on_processor: OnProcessor
) -> None:
    train(job(shard_set, tmp_path / "run", config()), quiet)
    checkpoint = TrainingDirectory(tmp_path / "run").checkpoints()[-1]
    written: list[str] = []

    def write() -> None:
        generator = load_generator(checkpoint, shard_set.vocabulary)
        sampling = Sampling(max_tokens=8)
        written.extend(generator.generate(drawing(c), "A", sampling) for c in CAPTIONS[:3])

    write()
    on_processor(write)
    assert written[:3] == written[3:]


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    count = torch.cuda.device_count()
    monkeypatch.setenv("LOCAL_RANK", str(count))
    with pytest.raises(UsageError, match=f"which has {count}"), process_group():
        pass


def test_the_jax_twin_gives_the_same_logits(shard_set: ShardSet) -> None:
    jax = pytest.importorskip("jax")
    if jax.default_backend() != "gpu":
        pytest.skip("jax has no GPU: install jax[cuda13]")
    import jax.numpy as jnp
    import numpy as np

    from curate.training.jax_backend.model import KosmosModel, Shape
    from curate.training.jax_backend.weights import to_flax

    manifest = shard_set.manifest
    torch.manual_seed(0)
    shape = Shape(manifest.vocabulary, manifest.block, manifest.image_slots)
    theirs = make_model(
        config().model, manifest.vocabulary, manifest.block, manifest.image_slots, "cpu"
    ).eval()
    state = {name: value.numpy() for name, value in theirs.state_dict().items()}
    params = jax.tree.map(jnp.asarray, to_flax(state))
    ours = jax.jit(KosmosModel(config().model, shape).apply)
    for batch in itertools.islice(open_shards(shard_set.root).batches(), 2):
        tensors = tensors_of(batch)
        with torch.no_grad():
            expected = theirs.logits(theirs.hidden(tensors)).numpy()
        arrays = {k: v.numpy() for k, v in tensors.items() if isinstance(v, torch.Tensor)}
        found = np.asarray(ours({"params": params}, arrays))
        written = tensors["segments"].numpy() >= 0
        assert np.abs(found - expected)[written].max() < 1e-4
