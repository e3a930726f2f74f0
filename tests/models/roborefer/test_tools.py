"""``x3 model tiny`` and ``x3 model inspect``."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from helpers.roborefer_fixture import CHECKPOINT
from x3spatial.errors import UserError
from x3spatial.models.roborefer import load_model, load_processor
from x3spatial.models.roborefer.inspect import inspect, report_text
from x3spatial.models.roborefer.saving import save_hf
from x3spatial.models.roborefer.tiny import PHRASES_OF, SPECIAL_TOKENS, make_tiny, small_tokenizer
from x3spatial.tasks.spec import task_templates


def test_the_report_of_the_fixture() -> None:
    report = inspect(path=CHECKPOINT)
    assert report["layout"] == "upstream"
    assert report["dtype"] == "float32"
    assert report["select_layer"] == -2
    assert report["tokens"] == {
        "vocabulary": 516, "embedding_rows": 516, "per_image": 10, "image": 513, "depth": 515,
        "pad": 511, "stop": [509],
    }  # fmt: skip
    # Counted from the sizes in the fixture's README.
    layer = 4 * (32 * 32 + 32) + 4 * 32 + 2 * 32 * 50 + 50 + 32
    tower = 3 * 14 * 14 * 32 + 32 + 64 * 32 + 3 * layer + 2 * 32
    projector = 2 * 288 + 288 * 96 + 96 + 2 * 96 + 96 * 32 + 32 + 32 * 32 + 32
    block = 32 * 32 * 2 + 32 + 2 * (32 * 16 + 16) + 3 * 32 * 80 + 2 * 32
    parts = report["parts"]
    assert parts["vision_tower"]["parameters"] == parts["depth_tower"]["parameters"] == tower
    assert parts["vision_tower"]["never_trained"] == layer + 2 * 32
    assert parts["vision_tower"]["layers_used"] == 2
    assert parts["mm_projector"]["parameters"] == projector
    assert parts["llm"]["parameters"] == 516 * 32 + 2 * block + 32
    assert parts["llm"]["trained_with"] == "--tune-language-model"
    text = report_text(report)
    assert "10 per image" in text
    assert "2 of 3 layers used" in text


def test_both_layouts_report_the_same(tmp_path: Path) -> None:
    own = save_hf(load_model(CHECKPOINT), load_processor(CHECKPOINT), tmp_path / "own")
    first, second = inspect(path=CHECKPOINT), inspect(path=own)
    assert second["layout"] == "hf"
    for key in (
        "parameters",
        "bytes",
        "dtype",
        "tokens",
        "depth",
        "select_layer",
        "tied_embeddings",
    ):
        assert first[key] == second[key], key
    for name, part in first["parts"].items():
        assert second["parts"][name] == part


def test_tiny_is_deterministic_by_seed(tmp_path: Path) -> None:
    folders = [make_tiny(out=tmp_path / n, seed=s) for n, s in (("a", 0), ("b", 0), ("c", 1))]
    names = sorted(f.relative_to(folders[0]) for f in folders[0].rglob("*") if f.is_file())
    assert names == sorted(f.relative_to(folders[1]) for f in folders[1].rglob("*") if f.is_file())
    for name in names:
        if name != Path("config.json"):  # holds the folder's own name
            assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes(), name
    weights = Path("llm/model.safetensors")
    assert (folders[0] / weights).read_bytes() != (folders[2] / weights).read_bytes()


def test_the_small_tokenizer_reads_everything() -> None:
    tokenizer = small_tokenizer()
    for text in ("[(0.412, 0.733)]", "NOT_VISIBLE", "café 你好 🙂\n\n\ttab", "a  b   c"):
        ids = tokenizer(text)["input_ids"]
        assert tokenizer.decode(ids) == text
    assert len(tokenizer("Point to the same object in the second image.")["input_ids"]) < 20
    assert tokenizer("\n")["input_ids"] != tokenizer("\n\n")["input_ids"]
    ids = [tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS]
    assert len(set(ids)) == len(SPECIAL_TOKENS)
    assert "<depth>" not in small_tokenizer(depth=False).get_vocab()


def test_a_trainable_model_is_made_to_be_trained(tmp_path: Path) -> None:
    folder = make_tiny(out=tmp_path / "trainable", size="trainable", depth=False)
    again = make_tiny(out=tmp_path / "again", size="trainable", depth=False)
    model = load_model(folder)
    for name, value in load_model(again).state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name
    assert 1.2e6 <= sum(p.numel() for p in model.parameters()) <= 3e6
    # 12 x 12 patches fold to 4 x 4 without padding.
    assert model.config.tokens_per_image == 16
    places = model.vision_tower.embeddings.position_embedding.weight.detach()
    assert 0.5 <= places.std() <= 1.5
    # Near places look alike: each is most like itself, then like a neighbour.
    alike = places @ places.T / 64
    for patch in range(144):
        order = alike[patch].argsort(descending=True).tolist()
        assert order[0] == patch
        row, column = divmod(order[1], 12)
        assert abs(row - patch // 12) + abs(column - patch % 12) == 1
    noise = torch.rand(4, 3, 108, 108) * 2 - 1
    rows = model.get_image_features(noise)
    assert rows.isfinite().all() and 0.05 < rows.std() < 20


def test_a_trainable_model_begins_by_looking_one_image_back(tmp_path: Path) -> None:
    folder = make_tiny(out=tmp_path / "trainable", size="trainable", depth=False)
    model, processor = load_model(folder, attention="eager"), load_processor(folder)
    ids = processor.tokenize("<image>\n<image>\nWhere?")
    row, _ = processor.expand(ids)
    places = [n for n, token in enumerate(row) if token == model.config.image_token_id]
    torch.manual_seed(0)
    rows = torch.randn(1, len(row), model.config.text_config.hidden_size)
    attention = model.llm(inputs_embeds=rows, output_attentions=True).attentions[0][0]
    for head, expected in ((0, True), (1, True), (2, False), (3, False)):
        shares = [
            attention[head, here, there - 1 : there + 2].sum().item()
            for there, here in zip(places[:16], places[16:], strict=True)
        ]
        assert (sum(shares) / 16 > 0.6) == expected, (head, shares)


def test_a_trainable_model_begins_by_seeing_alike_what_lies_elsewhere_in_a_token(
    tmp_path: Path,
) -> None:
    model = load_model(make_tiny(out=tmp_path / "trainable", size="trainable", depth=False))
    first_layers = model.mm_projector.layers[:3]  # fold, norm, linear
    torch.manual_seed(0)
    patch = torch.randn(64)
    units = []
    for row, column in ((0, 0), (1, 2), (2, 1)):
        rows = torch.zeros(1, 144, 64)
        rows[0, 12 * row + column] = patch
        units.append(first_layers(rows)[0, 0])
    half = len(units[0]) // 2
    for other in units[1:]:
        torch.testing.assert_close(other[:half], units[0][:half])
        # The other half can tell where it lies.
        assert torch.corrcoef(torch.stack([other[half:], units[0][half:]]))[0, 1] < 0.5


def test_a_trainable_model_reads_a_prompt_as_a_few_tokens(tmp_path: Path) -> None:
    processor = load_processor(make_tiny(out=tmp_path / "l", size="trainable", depth=False))
    plain = small_tokenizer(depth=False)
    for name in PHRASES_OF:
        template = task_templates()[name]
        text = template.render("(0.212, 0.430)")
        ids = processor.tokenize(text)
        assert processor.tokenizer.decode(ids) == text
        reference = template.reference.replace("{reference_point}", "(0.212, 0.430)")
        room = len(plain(f"\n{reference}")["input_ids"]) if reference else 0
        assert len(ids) <= 3 + room < len(plain(text)["input_ids"])
    answer = processor.tokenize("[(0.512, 0.334)]")
    pieces = [processor.tokenizer.decode([number]) for number in answer]
    assert [piece for piece in pieces if piece.isdigit()] == list("05120334")


def test_tiny_refuses(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--size huge: expected one of tiny, small, 2b, trainable"):
        make_tiny(out=tmp_path / "x", size="huge")
    with pytest.raises(UserError, match="--dtype int8"):
        make_tiny(out=tmp_path / "x", dtype="int8")
    make_tiny(out=tmp_path / "x")
    with pytest.raises(UserError, match=r"not empty: .*; name a new folder"):
        make_tiny(out=tmp_path / "x", seed=1)
    make_tiny(out=tmp_path / "x")  # the same command after a kill in its last moment


def test_the_former_name_of_a_size_is_accepted(tmp_path: Path) -> None:
    new = make_tiny(out=tmp_path / "new", size="trainable", depth=False)
    old = make_tiny(out=tmp_path / "old", size="learner", depth=False)
    files = [file for file in new.rglob("*") if file.is_file()]
    assert files and all(
        file.read_bytes() == (old / file.relative_to(new)).read_bytes() for file in files
    )
