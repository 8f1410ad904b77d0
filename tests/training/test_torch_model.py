"""The PyTorch model against its formulas."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import open_clip
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from curate import open_shards
from curate.training.config import ModelConfig, VisionConfig, load_config
from curate.training.loading.shard_set import ShardSet
from curate.training.torch_backend.dataset import tensors_of
from curate.training.torch_backend.decoder import Layer, init_gain
from curate.training.torch_backend.model import (
    KosmosModel,
    make_model,
    parameter_counts,
    segment_mask,
)
from curate.training.torch_backend.positions import rotate, sinusoidal, xpos_factors
from curate.training.torch_backend.vision import ImageEncoder, WeightsError
from tests.training.shard_sets import CAPTIONS, IMAGE_SIZE, SLOTS, interleaved, write_shards

TINY = load_config("tiny").model


def tiny(shard_set: ShardSet, **changes: object) -> KosmosModel:
    torch.manual_seed(0)
    manifest = shard_set.manifest
    config = TINY.model_copy(update=changes)
    return make_model(config, manifest.vocabulary, manifest.block, SLOTS, "cpu")


def test_parameter_counts_of_kosmos1() -> None:
    """spec 4.7: 1,662,375,936 in all; 2,048 of the norm after the tower are trained besides."""
    model = make_model(load_config("kosmos1").model, 64_007, 2_048, 64, "meta")
    assert parameter_counts(model) == {
        "token embedding": 131_086_336,
        "decoder layers and norm": 1_209_094_144,
        "image encoder": 303_179_776,
        "connector": 19_015_680,
        "total": 1_662_375_936,
        "trained": 1_371_792_384 + 2_048,
    }
    assert sum(p.numel() for p in model.layers[0].parameters()) == 50_378_752
    block = model.encoder.tower.transformer.resblocks[23]
    assert sum(p.numel() for p in block.parameters() if p.requires_grad) == 12_596_224
    before = model.encoder.tower.transformer.resblocks[22]
    assert not any(p.requires_grad for p in before.parameters())


def test_parameter_count_of_kosmos2_vocabulary() -> None:
    model = make_model(load_config("kosmos1").model, 65_037, 2_048, 64, "meta")
    assert parameter_counts(model)["total"] == 1_664_485_376


def test_parameter_count_of_openflamingos_resampler() -> None:
    """63,019,008 at width 1024 (spec 4.4), without the projection to the decoder."""
    config = load_config("kosmos1").model.model_copy(update={"connector": "perceiver"})
    connector = make_model(config, 64_007, 2_048, 64, "meta").connector
    own = sum(p.numel() for p in connector.parameters())
    projection = 1_024 * 2_048 + 2_048
    # OpenFlamingo has no embedding of frames for single images; ours holds one of width 1024.
    assert own - projection - 1_024 == 63_019_008


def test_the_gain_of_magneto() -> None:
    assert init_gain(24) == pytest.approx(1.96754, abs=1e-5)
    torch.manual_seed(0)
    config = TINY.model_copy(update={"layers": 24, "width": 256, "ffn_width": 512})
    layer = make_model(config, 100, 128, SLOTS, "cpu").layers[0]
    assert isinstance(layer, Layer)
    attention = layer.attention
    for linear, gain in (
        (attention.q_proj, 1.0),
        (attention.k_proj, 1.0),
        (attention.v_proj, 1.96754),
        (attention.out_proj, 1.96754),
        (layer.fc1, 1.96754),
        (layer.fc2, 1.96754),
    ):
        # PyTorch's default is uniform below 1 / sqrt(fan in).
        bound = gain / math.sqrt(linear.in_features)
        assert linear.weight.abs().max().item() == pytest.approx(bound, rel=1e-3)
        assert linear.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)


def test_a_layer_is_its_formula() -> None:
    """u = x + W_o LN_a(attention(LN_1 x)); y = u + W_2 LN_f(GELU(W_1 LN_2 u))."""
    torch.manual_seed(1)
    config = TINY.model_copy(update={"positions": "sinusoidal"})
    layer = Layer(config).eval()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.3)
    x = torch.randn(2, 7, config.width)

    def heads(t: Tensor) -> Tensor:
        return t.view(2, 7, config.heads, -1).transpose(1, 2)

    a = layer.attention
    normed = layer.attention_norm(x)
    q, k, v = heads(a.q_proj(normed)), heads(a.k_proj(normed)), heads(a.v_proj(normed))
    scores = q @ k.transpose(-1, -2) / math.sqrt(config.width // config.heads)
    scores = scores.masked_fill(~torch.ones(7, 7, dtype=torch.bool).tril(), -torch.inf)
    attended = (scores.softmax(-1) @ v).transpose(1, 2).reshape(2, 7, -1)
    u = x + a.out_proj(a.inner_norm(attended))
    y = u + layer.fc2(layer.inner_norm(functional.gelu(layer.fc1(layer.ffn_norm(u)))))
    assert torch.allclose(layer(x, None, None)[0], y, atol=1e-5)
    assert a.inner_norm.normalized_shape == (config.width,)
    assert layer.inner_norm.normalized_shape == (config.ffn_width,)


def test_xpos_depends_on_distance_alone() -> None:
    torch.manual_seed(2)
    q, k = torch.randn(64), torch.randn(64)
    positions = torch.arange(2_048)
    cosine, sine, decay = xpos_factors(positions, 64, 512, 2_048)
    turned_q = rotate(q.expand(2_048, 64), cosine, sine, decay)
    turned_k = rotate(k.expand(2_048, 64), cosine, sine, 1 / decay)
    scores = turned_q.double() @ turned_k.double().T
    for distance in (0, 1, 17, 500):
        along = scores.diagonal(-distance)
        assert (along - along[0]).abs().max() < 2e-3
    assert scores.diagonal() == pytest.approx(torch.full((2_048,), float(q @ k)), abs=1e-3)


def test_xpos_constants() -> None:
    """zeta_0 = .285714, zeta_15 = .620536, zeta_31 = .977679 (spec 4.3)."""
    _, _, decay = xpos_factors(torch.tensor([1_024 + 512]), 64, 512, 2_048)
    assert decay[0, [0, 15, 31]].tolist() == pytest.approx([0.285714, 0.620536, 0.977679], abs=1e-6)


def test_sinusoidal_positions_are_fairseqs() -> None:
    found = sinusoidal(torch.tensor([0, 5]), 2_048)
    for index, position in enumerate((2, 7)):
        for k in (0, 1, 500, 1_023):
            angle = position * math.exp(-math.log(10_000) * k / 1_023)
            assert found[index, k].item() == pytest.approx(math.sin(angle), abs=1e-5)
            assert found[index, 1_024 + k].item() == pytest.approx(math.cos(angle), abs=1e-5)


def test_the_mask_follows_the_segments() -> None:
    mask = segment_mask(torch.tensor([[0, 0, 1, 1, -1]]))[0, 0].int().tolist()
    assert mask == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 0, 1, 0, 0],
        [1, 0, 1, 1, 0],
        [1, 0, 0, 0, 1],
    ]


def test_at_first_every_token_is_as_likely(shard_set: ShardSet) -> None:
    model = tiny(shard_set).eval()
    batch = tensors_of(next(open_shards(shard_set.root).batches()))
    loss = model(batch)
    assert loss.total.item() / loss.targets == pytest.approx(
        math.log(shard_set.manifest.vocabulary), abs=1.0
    )
    assert loss.targets == int(batch["loss_mask"].sum())


def test_images_are_spliced_in_before_the_scaling(shard_set: ShardSet) -> None:
    model = tiny(shard_set).eval()
    batch = tensors_of(next(open_shards(shard_set.root, source="captions").batches()))
    x = model.embed(batch["input_ids"], batch["images"], batch["image_positions"])
    vectors = model.connector(model.encoder(batch["images"]))
    flat = x.flatten(0, 1)
    expected = vectors.flatten(0, 1) * math.sqrt(TINY.width)
    assert torch.allclose(flat[batch["image_positions"].flatten().long()], expected, atol=1e-5)
    plain = torch.ones(len(flat), dtype=torch.bool)
    plain[batch["image_positions"].flatten().long()] = False
    own = model.embedding(batch["input_ids"].flatten().long()) * math.sqrt(TINY.width)
    assert torch.allclose(flat[plain], own[plain])


def test_features_have_length_1_and_come_from_every_patch(shard_set: ShardSet) -> None:
    model = tiny(shard_set).eval()
    features = model.encoder(torch.randn(2, 3, IMAGE_SIZE, IMAGE_SIZE))
    assert features.shape == (2, TINY.vision.tokens, TINY.vision.width)
    assert torch.allclose(features.norm(dim=-1), torch.ones(2, TINY.vision.tokens), atol=1e-5)


def test_frozen_layers_get_no_gradient_and_the_last_one_does(shard_set: ShardSet) -> None:
    vision = TINY.vision.model_copy(update={"model": "given", "layers": 3})
    model = tiny(shard_set, vision=vision)
    batch = tensors_of(next(open_shards(shard_set.root, source="captions").batches()))
    model(batch).total.backward()
    tower = model.encoder.tower
    assert tower.conv1.weight.grad is None
    assert tower.transformer.resblocks[1].mlp.c_fc.weight.grad is None
    for module in (tower.transformer.resblocks[2].mlp.c_fc, tower.ln_post):
        assert module.weight.grad is not None
        assert module.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("connector", ["attention", "perceiver"])
@pytest.mark.parametrize("positions", ["xpos", "sinusoidal"])
def test_a_packed_document_is_read_as_if_it_stood_alone(
    shard_set: ShardSet, tmp_path: Path, connector: str, positions: str
) -> None:
    model = tiny(shard_set, connector=connector, positions=positions).eval()
    documents = [interleaved("a", CAPTIONS[:1]), interleaved("b", CAPTIONS[1:2])]
    hidden = []
    for packed in (True, False):
        shards = write_shards(
            tmp_path / str(packed),
            {"documents": ("interleaved", documents)},
            shards=1,
            packed=packed,
        )
        opened = open_shards(shards.root, batch_rows=1 if packed else 2, seed=0)
        batch = tensors_of(next(opened.batches()))
        assert batch["one_segment"] is not packed
        with torch.no_grad():
            hidden.append((batch, model.hidden(batch)))
    (packed_batch, in_row), (alone_batch, alone) = hidden
    for segment in (0, 1):
        own = packed_batch["segments"][0] == segment
        ids = packed_batch["input_ids"][0, own]
        ids = ids if segment == 0 else torch.cat((torch.zeros(1, dtype=ids.dtype), ids))
        (row,) = (n for n in (0, 1) if torch.equal(alone_batch["input_ids"][n, : len(ids)], ids))
        expected = alone[row, : len(ids)] if segment == 0 else alone[row, 1 : len(ids)]
        assert torch.allclose(in_row[0, own], expected, atol=1e-5)


def test_writing_token_by_token_is_reading_at_once(shard_set: ShardSet) -> None:
    model = tiny(shard_set).eval()
    ids = torch.randint(5, 60, (1, 12))
    nothing = (torch.zeros(0, 3, 32, 32), torch.zeros(0, SLOTS))
    x = model.embed(ids, *nothing)
    whole, _ = model.extend(x, 0, [None] * len(model.layers))
    part, caches = model.extend(x[:, :5], 0, [None] * len(model.layers))
    found = [part]
    for place in range(5, 12):
        part, caches = model.extend(x[:, place : place + 1], place, list(caches))
        found.append(part)
    assert torch.allclose(torch.cat(found, 1), whole, atol=1e-5)


def test_checkpointed_activations_change_nothing(shard_set: ShardSet) -> None:
    gradients = []
    for checkpointed in (False, True):
        model = tiny(shard_set)
        model.checkpoint_layers = checkpointed
        for batch in itertools.islice(open_shards(shard_set.root).batches(), 2):
            model(tensors_of(batch)).total.backward()
        gradients.append(model.layers[0].fc1.weight.grad)
    assert torch.allclose(gradients[0], gradients[1], atol=1e-5)


@pytest.fixture(scope="module")
def small_clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, nn.Module]:
    """A vision transformer of open_clip's, registered by name, and its weights in a file."""
    folder = tmp_path_factory.mktemp("clip")
    vision = {"image_size": 32, "patch_size": 8, "width": 48, "layers": 3, "head_width": 12}
    text = {"context_length": 8, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
    described = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text, "quick_gelu": True}
    (folder / "small-vit.json").write_text(json.dumps(described))
    open_clip.add_model_config(folder / "small-vit.json")
    torch.manual_seed(4)
    model = open_clip.create_model("small-vit").eval()
    torch.save(model.state_dict(), folder / "small-vit.pt")
    return "small-vit", folder / "small-vit.pt", model


def test_the_encoder_is_open_clips_tower_with_its_weights(
    small_clip: tuple[str, Path, nn.Module],
) -> None:
    name, weights, model = small_clip
    config = VisionConfig(
        image_size=32, patch_size=8, width=48, layers=3, heads=4, model=name, weights=str(weights)
    )
    encoder = ImageEncoder(config).eval()
    encoder.load_pretrained()
    images = torch.randn(3, 3, 32, 32)
    model.visual.proj = None
    with torch.no_grad():
        expected = functional.normalize(model.visual(images), dim=-1)
        assert torch.allclose(encoder(images)[:, 0], expected, atol=1e-6)


def test_weights_that_can_not_be_had_say_what_to_do(
    small_clip: tuple[str, Path, nn.Module], tmp_path: Path
) -> None:
    sizes = {"image_size": 32, "patch_size": 8, "width": 48, "layers": 3, "heads": 4}
    name, weights, _ = small_clip
    for wrong in (
        {"model": name, "weights": str(tmp_path / "absent.pt")},
        {"model": "no-such-model", "weights": str(weights)},
        {"model": name, "weights": str(weights), "width": 24},
    ):
        encoder = ImageEncoder(VisionConfig(**{**sizes, **wrong}))
        with pytest.raises(WeightsError, match=r"can't be loaded: .*Give a local file"):
            encoder.load_pretrained()


def test_config_refuses_odd_heads() -> None:
    with pytest.raises(ValueError, match="even multiple"):
        ModelConfig(layers=1, width=30, ffn_width=8, heads=2)
