"""Every setting of a training: told by name when it can't be meant, before any step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from curate.cli import main
from curate.schemas.errors import UsageError
from curate.schemas.settings.mixture import Phase
from curate.training.config import ModelConfig, TrainingConfig, VisionConfig, load_config
from curate.training.loading.shard_set import ShardSet
from curate.training.torch_backend.generate import Sampling
from curate.training.torch_backend.parallel import process_group
from curate.training.torch_backend.train import train
from curate.training.training_directory import TrainingDirectory, read_facts
from tests.training.configs import config, job
from tests.training.shard_sets import drawn_by_url

NOT_A_NUMBER = float("nan")
ENDLESS = float("inf")
MODEL = {"layers": 1, "width": 8, "ffn_width": 8, "heads": 2}
PHASE = {"steps": 2, "step_rows": {"pairs": 1}}


def wrong(section: type[Any], base: dict[str, Any], name: str, *values: Any) -> list[Any]:
    return [pytest.param(section, base, name, v, id=f"{name}={v!r}"[:40]) for v in values]


WHOLE = (0, -1, 1.5, None, "many", NOT_A_NUMBER, ENDLESS)
REAL = (-1, NOT_A_NUMBER, "many", None)


@pytest.mark.parametrize(
    ("section", "base", "name", "value"),
    [
        *(
            case
            for name in ("layers", "width", "ffn_width", "heads", "xpos_scale")
            for case in wrong(ModelConfig, MODEL, name, *WHOLE)
        ),
        *(
            case
            for name in ("perceiver_layers", "perceiver_heads")
            for case in wrong(ModelConfig, MODEL, name, *WHOLE)
        ),
        *(
            case
            for name in ("dropout", "attention_dropout", "activation_dropout")
            for case in wrong(ModelConfig, MODEL, name, 1.1, ENDLESS, *REAL)
        ),
        *wrong(ModelConfig, MODEL, "positions", "rotary", None),
        *wrong(ModelConfig, MODEL, "connector", "mlp", None),
        *wrong(ModelConfig, MODEL, "depth", 2),
        *(
            case
            for name in ("image_size", "patch_size", "width", "layers", "heads")
            for case in wrong(VisionConfig, {}, name, *WHOLE)
        ),
        *wrong(VisionConfig, {}, "image_size", 13, 10**6),
        *wrong(VisionConfig, {}, "patch_size", 225),
        *wrong(VisionConfig, {}, "width", 1023),
        *wrong(VisionConfig, {}, "trained_layers", -1, 25, NOT_A_NUMBER),
        *(
            case
            for name in ("evaluate_every", "checkpoint_every", "shuffle_shards")
            for case in wrong(TrainingConfig, {}, name, *WHOLE)
        ),
        *wrong(TrainingConfig, {}, "held_out_rows", -1, 1.5, NOT_A_NUMBER),
        *(
            case
            for name in ("beta_1", "beta_2")
            for case in wrong(TrainingConfig, {}, name, 1, ENDLESS, *REAL)
        ),
        *wrong(TrainingConfig, {}, "epsilon", 0, ENDLESS, *REAL),
        *wrong(TrainingConfig, {}, "clip_norm", 0, ENDLESS, *REAL),
        *wrong(TrainingConfig, {}, "weight_decay", ENDLESS, *REAL),
        *wrong(TrainingConfig, {}, "precision", "float16", None),
        *wrong(TrainingConfig, {}, "seed", 2**64, 1.5, NOT_A_NUMBER, None),
        *wrong(TrainingConfig, {}, "micro_rows", {"text": 0}, {"text": -1}, {"text": 1.5}, 8, None),
        *wrong(Phase, PHASE, "steps", *WHOLE),
        *wrong(Phase, PHASE, "step_rows", {"pairs": 0}, {"pairs": -1}, {"x": 1}, {}, None),
        *wrong(Phase, {"steps": 2}, "step_tokens", {"pairs": 0}, {"pairs": -1}, {"x": 1}),
        *wrong(Phase, PHASE, "peak_rate", 0, ENDLESS, *REAL),
        *wrong(Phase, PHASE, "warmup_steps", -1, 1.5, NOT_A_NUMBER),
    ],
)
def test_a_wrong_setting_is_refused(
    section: type[Any], base: dict[str, Any], name: str, value: Any
) -> None:
    with pytest.raises(ValidationError, match=name):
        section(**{**base, name: value})


def test_sinusoidal_positions_need_a_frequency() -> None:
    with pytest.raises(ValidationError, match="width must be at least 4 for sinusoidal"):
        ModelConfig(layers=1, width=2, ffn_width=8, heads=1, positions="sinusoidal")


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"[1, 2]", b"model: {", b"model: 5", b"a: &a [*a]", b"model: {layers: 0}",
     b"[" * 50_000, b"\0", "model: {layers: 1}\nx: \u00b2".encode()],
    ids=lambda content: repr(content[:12]),
)  # fmt: skip
def test_a_file_that_is_no_configuration_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "own.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"own\.yaml is no configuration"):
        load_config(str(path))


@pytest.mark.parametrize("name", ["", "huge", ".", "a" * 5_000, "tiny\0", "tiny/x"])
def test_a_name_that_is_no_configuration_is_told(name: str) -> None:
    with pytest.raises(UsageError, match="must be one of kosmos1, small, tiny or a YAML file"):
        load_config(name)


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 70), st.integers(), st.floats(), st.text(max_size=4),
    st.dictionaries(st.sampled_from(["text", "pairs", "steps", "x"]), st.integers(-2, 9)),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from([*ModelConfig.model_fields, "x"]), VALUES, max_size=4),
    st.dictionaries(st.sampled_from([*TrainingConfig.model_fields, "x"]), VALUES, max_size=4),
)
def test_any_settings_are_a_configuration_or_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, model: dict[str, Any], training: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("any") / "any.yaml"
    path.write_text(yaml.safe_dump({"model": {**MODEL, **model}, "training": training}))
    try:
        made = load_config(str(path))
    except UsageError:
        return
    assert made.model.width % made.model.heads == 0
    assert min([1, *made.training.micro_rows.values()]) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("phase_name", "tuning"), ("phase_name", None), ("strategy", "tp"),
        ("workers", -1), ("workers", 1.0), ("workers", 10**9), ("workers", NOT_A_NUMBER),
        ("until", 0), ("until", -1), ("until", NOT_A_NUMBER), ("until", 10**30), ("until", "2"),
    ],
)  # fmt: skip
def test_a_wrong_argument_of_a_training_is_named(
    shard_set: ShardSet, tmp_path: Path, name: str, value: Any
) -> None:
    with pytest.raises(UsageError, match=rf"{name} must be .*\(got "):
        job(shard_set, tmp_path / "run", config(), **{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", NOT_A_NUMBER), ("temperature", ENDLESS), ("temperature", -1.0),
        ("temperature", 1e-300), ("top_p", 0.0), ("top_p", 1.1), ("top_p", NOT_A_NUMBER),
        ("seed", 2**64), ("seed", 0.5), ("max_tokens", 0), ("max_tokens", ENDLESS),
    ],
)  # fmt: skip
def test_a_wrong_way_to_draw_is_named(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=rf"{name} must be .*\(got "):
        Sampling(**{name: value})


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"RANK": "x"}, r"RANK must be a whole number.*\(got 'x'\)"),
        ({"WORLD_SIZE": ""}, r"WORLD_SIZE must be a whole number.*\(got ''\)"),
        ({"RANK": "-1"}, "RANK must be a whole number"),
        ({"RANK": "\u00b2"}, "RANK must be a whole number"),
        ({"WORLD_SIZE": "9" * 5_000}, "WORLD_SIZE must be a whole number"),
        ({"WORLD_SIZE": "0"}, r"world must be a whole number from 1 .*\(got 0\)"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, r"rank must be .* for world is 2 \(got 2\)"),
    ],
)
def test_a_wrong_environment_is_named(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], message: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=message), process_group():
        pytest.fail("there is no such rank")


@pytest.fixture(scope="module")
def trained(shard_set: ShardSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of one step, with its checkpoint."""
    folder = tmp_path_factory.mktemp("trained")
    train(job(shard_set, folder, config(held_out_rows=0), until=1), lambda _: None)
    return folder


@pytest.mark.parametrize(
    "change",
    [
        {"loader": {}}, {"loader": {"captions": 5}}, {"loader": 5}, {"loader": None},
        {"loader": {"captions": -6}}, {"loader": {"captions": 1e30}}, {"loader": {"captions": "6"}},
        {"loader": {"captions": 8 * 10**30}}, {"loader": {"captions": 10**9}},
        {"loader": {"captions": True}}, {"loader": {"captions": 7}}, {"step": "one"},
        {"step": None}, {"vocabulary": NOT_A_NUMBER},
    ],
    ids=lambda change: json.dumps(change)[:40],
)  # fmt: skip
def test_a_checkpoint_of_a_wrong_state_is_refused(
    shard_set: ShardSet, trained: Path, change: dict[str, Any]
) -> None:
    (checkpoint,) = TrainingDirectory(trained).checkpoints()
    marker = checkpoint / "checkpoint.json"
    before = marker.read_text()
    facts = json.loads(before)
    if isinstance(change.get("loader"), dict) and change["loader"]:
        change = {"loader": {**facts["loader"], **change["loader"]}}
    marker.write_text(json.dumps({**facts, **change}))
    try:
        with pytest.raises(UsageError, match="state|damaged, or of another version"):
            train(job(shard_set, trained, config(held_out_rows=0), until=2), lambda _: None)
    finally:
        marker.write_text(before)
    assert len(TrainingDirectory(trained).checkpoints()) == 1


@pytest.mark.parametrize("content", ["", "{}", "[]", "{", "\0"])
def test_a_damaged_checkpoint_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "checkpoint.json").write_text(content)
    with pytest.raises(UsageError, match=r"checkpoint\.json is damaged"):
        read_facts(tmp_path)


COMMANDS = [
    (("train", "OUT", "--workers", "-1"), 2, "--workers"),
    (("train", "OUT", "--workers", "1.5"), 2, "--workers"),
    (("train", "OUT", "--workers", "999999999"), 2, "workers"),
    (("train", "OUT", "--workers", "nan"), 2, "--workers"),
    (("train", "OUT", "--until", "0"), 2, "--until"),
    (("train", "OUT", "--until", "-1"), 2, "--until"),
    (("train", "OUT", "--until", "9" * 40), 2, "until"),
    (("train", "OUT", "--backend", "tensorflow"), 2, "--backend"),
    (("train", "OUT", "--phase", "x"), 2, "--phase"),
    (("train", "OUT", "--phase", ""), 2, "--phase"),
    (("train", "OUT", "--parallel", "tp"), 2, "--parallel"),
    (("train", "OUT", "--config", ""), 2, "--config must be one of"),
    (("train", "OUT", "--config", "OUT"), 2, "--config must be one of"),
    (("train", "OUT", "--config", "BAD"), 2, "is no configuration"),
    (("train", "OUT", "--from", "OUT"), 2, "holds no checkpoint"),
    (("train", "OUT", "--from", ""), 2, "a checkpoint must be a folder"),
    (("train", "OUT", "--cache", ""), 2, "the cache must be a path"),
    (("train", "OUT", "--to", "BAD"), 1, "BAD"),
    (("train", "OUT", "--to", ""), 2, "Give --to DIR"),
    (("train", "BAD"), 2, "holds no finished shards"),
    (("train", ""), 2, "path"),
    (("train", "nothing://x", "--to", "x"), 2, "can't be opened"),
    (("train", "OUT", "more"), 2, "more"),
    (("train", "--describe", "--config", "BAD"), 2, "is no configuration"),
    (("train", "BAD", "--describe"), 2, "holds no finished shards"),
    (("verify", ""), 2, "path"),
    (("verify", "BAD"), 2, "holds no finished shards"),
    (("generate", "RUN", "--temperature", "nan"), 2, "temperature must be"),
    (("generate", "RUN", "--temperature", "-1"), 2, "--temperature"),
    (("generate", "RUN", "--top-p", "nan"), 2, "top_p must be"),
    (("generate", "RUN", "--top-p", "0"), 2, "--top-p"),
    (("generate", "RUN", "--max-tokens", "0"), 2, "--max-tokens"),
    (("generate", "RUN", "--seed", "9" * 30), 2, "seed must be"),
    (("generate", "RUN", "--image", "BAD"), 2, "can't be decoded"),
    (("generate", "RUN", "--shards", "BAD"), 2, "holds no finished shards"),
    (("generate", "BAD"), 2, "holds no checkpoint"),
    (("generate", ""), 2, "a checkpoint must be a folder"),
    (("generate", "RUN", "--shards", ""), 2, "path of the run"),
]


@pytest.mark.parametrize(
    ("arguments", "code", "word"), COMMANDS, ids=[" ".join(c[0])[:60] for c in COMMANDS]
)
def test_a_wrong_option_of_a_command_is_told(
    shard_set: ShardSet,
    trained: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    code: int,
    word: str,
) -> None:
    bad = tmp_path / "BAD"
    bad.write_bytes(b"\xff" + drawn_by_url("A-red-circle-on-blue")[:40])
    places = {"OUT": shard_set.root, "BAD": str(bad), "RUN": str(trained)}
    result = CliRunner().invoke(main, [places.get(a, a) for a in arguments])
    assert result.exit_code == code, result.output
    assert word in result.stderr
    assert "Traceback" not in result.stderr
    assert isinstance(result.exception, SystemExit)
    assert not (Path(shard_set.root) / "training").exists()
