"""The words: the same in every language but for the language."""

from __future__ import annotations

import ast
import re
import string
from pathlib import Path
from typing import get_args

import pytest

from demo import codemap, comparison, explorer, history, shortcuts
from demo.jobs import QUALITIES
from demo.lesson_view import RUN_FIGURES, setting_key
from demo.models_html import FIGURES
from demo.session import Kind
from demo.tabs import transplant
from demo.tabs.compare_view import MEASURES
from demo.text import CATALOGUES, LANGUAGES, language_of, say
from vq import code_file
from vq.experiments.ablations import AXES
from vq.hub.errors import MESSAGES
from vq.hub.looking import Kind as RepoKind
from vq.recipes import get_recipe

TEXT_KEYS = {
    *codemap.TEXT_KEYS,
    *explorer.TEXT_KEYS,
    *comparison.TEXT_KEYS,
    *history.TEXT_KEYS,
    *shortcuts.TEXT_KEYS,
}
DEMO = Path(__file__).resolve().parent.parent / "demo"
CLASSES = (
    *("buildings", "forest", "glacier", "mountain", "sea", "street"),
    *get_recipe("scenes-128").label_names.values(),
)
# Keys that the code puts together from a name it has at hand.
COMPOSED = {
    "transplant_": {f"transplant_{name}" for name in transplant.OTHER_WORDS},
    "prior_": {"prior_masked", "prior_pixelcnn", "prior_map_vae"},
    "quality_": {f"quality_{quality.name}" for quality in QUALITIES},
    "step_": {f"step_{kind}" for kind in get_args(Kind)},
    "class_": {f"class_{name.replace(' ', '_')}" for name in CLASSES},
    "compare_column_": {
        f"compare_column_{c}"
        for c in (
            *("size", "uniform", "entropy", "prior", "psnr", "ssim", "used", "perplexity"),
            "seconds",
        )
    },
    "compare_measure_": {f"compare_measure_{name}" for name in MEASURES},
    "chart_": {f"chart_{name}" for name in ("uniform", "entropy", "prior", *MEASURES)},
    "learn_column_": {f"learn_column_{c}" for c in ("code", "pixel", "dim", "bytes")},
    "learn_rate_": {f"learn_rate_{name}" for name in ("original", "png", "uniform", "frequencies")},
    "learn_run_": {f"learn_run_{name}" for name in RUN_FIGURES},
    "learn_setting_": {
        setting_key(setting)
        for axis in ("quantizer", "2048 codes", "code book")
        for setting in AXES[axis]
    },
    "learn_": {
        *(f"learn_{name}" for name in ("decoded", "shuffled", "blind", "drawn")),
        *(
            f"learn_{name}_{part}"
            for name in (
                *("loss", "gradient", "bits", "dead", "prior", "collapse"),
                *("tradeoffs", "nearest", "judge"),
            )
            for part in ("question", "answer")
        ),
    },
    "error_code_file_": {
        f"error_code_file_{reason}"
        for reason in get_args(code_file.Reason)
        if reason != "checkpoint"  # asked for by another name
    },
    "models_fact_": {
        f"models_fact_{name}"
        for name in ["license", "size", "codes", "networks", "downloads", "modified", "revision"]
    },
    "models_figure_": {f"models_figure_{name}" for name in FIGURES},
    "models_kind_": {f"models_kind_{name}" for name in get_args(RepoKind)},
    "models_place_": {"models_place_app", "models_place_pulled"},
    "status_models_": {f"status_models_{stage}" for stage in ("wait", "list", "download", "check")},
    "hub_": {f"hub_{reason}" for reason in MESSAGES.keys() - {"no_token"}},  # the app has none
    "compare_": {f"compare_{name}" for name in ("original", "jpeg", "webp")},
}


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def keys_in_code() -> set[str]:
    """Every text in the code that is the name of a message."""
    texts = set()
    for path in DEMO.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.add(node.value)
    return texts


def keys_asked_for() -> set[str]:
    """The texts in the place of the key wherever a message is asked for."""
    place = {"_": 0, "Refusal": 0, "say": 1}
    keys = set()
    for path in DEMO.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                index = place.get(node.func.id)
                if index is None or index >= len(node.args):
                    continue
                key = node.args[index]
                branches = [key.body, key.orelse] if isinstance(key, ast.IfExp) else [key]
                keys |= {
                    b.value
                    for b in branches
                    if isinstance(b, ast.Constant) and isinstance(b.value, str)
                }
    assert len(keys) > 50  # or this looks in the wrong places
    return keys


class FakeRequest:
    def __init__(self, **headers: str) -> None:
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_every_language_has_the_same_messages(language: str) -> None:
    assert CATALOGUES[language].keys() == CATALOGUES["en"].keys()


@pytest.mark.parametrize("language", LANGUAGES[1:])
@pytest.mark.parametrize("key", CATALOGUES["en"])
def test_a_translation_fills_the_same_places(language: str, key: str) -> None:
    # A count that one language puts in words (rows, columns) may be left out by another, but none
    # may be made up.
    assert placeholders(CATALOGUES[language][key]) == placeholders(CATALOGUES["en"][key])


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_message_is_empty_or_left_untranslated(language: str) -> None:
    assert all(text.strip() == text != "" for text in CATALOGUES[language].values())
    if language == "ko":
        latin = {key for key, text in CATALOGUES["ko"].items() if not re.search("[가-힣]", text)}
        names = {"prior_pixelcnn", "top_k_label", "top_p_label", "compare_bytes", "history_step"}
        names |= {"learn_run_psnr"}
        names |= {"models_figure_psnr_db", "models_figure_ssim"}
        names |= {f"compare_{name}" for name in ("jpeg", "webp", "column_psnr", "column_ssim")}
        names |= {"compare_measure_psnr", "compare_measure_ssim"}
        names |= {key for key in latin if key.startswith("codemap_")}  # signs and numbers only
        assert latin <= names


def test_every_message_is_used_and_every_used_one_exists() -> None:
    composed = set().union(*COMPOSED.values())
    known = CATALOGUES["en"].keys()
    assert known - keys_in_code() - composed - TEXT_KEYS == set()
    assert keys_asked_for() <= known
    assert known >= TEXT_KEYS


def test_placeholders_are_filled_in_the_language() -> None:
    assert say("en", "error_number", name="seed", low=0, high=9, got="-1") == (
        "seed must be a number from 0 to 9, not -1."
    )
    assert "seed" in say("ko", "error_number", name="seed", low=0, high=9, got="-1")
    with pytest.raises(KeyError):
        say("en", "no_such_message")


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("ko-KR", "ko"),
        ("KO", "ko"),
        ("en-GB,en;q=0.9", "en"),
        ("fr-FR,fr;q=0.9,ko;q=0.5,en;q=0.3", "ko"),
        ("ko;q=0.2,en;q=0.8", "en"),
        ("ko;q=0", "en"),
        ("ko;q=nonsense", "en"),
        ("de", "en"),
        ("", "en"),
    ],
)
def test_the_language_is_the_first_known_one_that_is_asked_for(header: str, language: str) -> None:
    request = FakeRequest(accept_language=header)
    assert language_of(request) == language


def test_without_a_request_it_is_english() -> None:
    assert language_of(None) == "en"
