"""Every language says what English says: all of it, with the same gaps, and in that language."""

import json
import re
from string import Formatter
from typing import Any

import pytest

from custom_components.crypto_invoices.providers import PROVIDERS
from custom_components.crypto_invoices.providers.another_api.presets import PRESETS

from .conftest import ENGLISH, PACKAGE
from .test_translations import texts

FOLDER = PACKAGE / "translations"
PLANNED = {"de", "es", "fr", "it", "ja", "nl", "pl", "pt", "ru", "uk"}
OTHERS = sorted({path.stem for path in FOLDER.iterdir()} - {"en"})

# English as it was when the other languages were last brought up to date.
TRANSLATED = PACKAGE.parent.parent / "tests" / "translated_english.json"

# What another language may spell as English does: names, and words that it shares.
NAMES = {provider.name for provider in PROVIDERS.values()} | {
    preset.name for preset in PRESETS.values()
}
SHARED = {
    "de": {"Coin", "Name", "Problem", "Status", "Test", "Link"},
    "es": {"Error"},
    "fr": {"Action", "Date", "Description", "Message", "Test", "{text} (test)"},
    "it": {"Account", "Password", "Server", "Test"},
    "ja": set[str](),
    "nl": {"Account", "Accounts", "Link", "Open", "Status", "Test", "{text} (test)"},
    "pl": {"Problem", "Status", "Test", "{text} (test)"},
    "pt": {"Status"},
    "ru": set[str](),
    "uk": set[str](),
}
# A letter that each text has in a script of its own, and letters that only a sibling has.
OWN_SCRIPT = {
    "ja": "[\u3041-\u30ff\u4e00-\u9fff]",
    "ru": "[\u0430-\u044f]",
    "uk": "[\u0430-\u044f\u0456]",
}
FOREIGN = {"ru": "[\u0491\u0454\u0456\u0457]", "uk": "[\u044a\u044b\u044d\u0451]"}

# What Home Assistant itself calls what our texts send people to.
HOME_ASSISTANT = ("Reconfigure", "Configure", "Change mode", "Queued", "Parallel", "Learn more")
CALLED = {
    "de": (
        "Neu konfigurieren",
        "Konfigurieren",
        "Modus ändern",
        "Warteschlange",
        "Parallel",
        "Weitere Informationen",
    ),
    "es": (
        "Reconfigurar",
        "Configurar",
        "Cambiar modo",
        "En cola",
        "Paralelo",
        "Más información",
    ),
    "fr": (
        "Reconfigurer",
        "Configurer",
        "Modifier le mode",
        "File d'attente",
        "Parallèle",
        "En savoir plus",
    ),
    "it": (
        "Riconfigura",
        "Configura",
        "Cambia modalità",
        "In coda",
        "Parallelo",
        "Ulteriori informazioni",
    ),
    "ja": ("再設定", "設定", "モード変更", "待機中", "並列", "もっと詳しく"),
    "nl": (
        "Herconfigureer",
        "Configureer",
        "Modus wijzigen",
        "In de wachtrij geplaatst",
        "Parallel",
        "Meer informatie",
    ),
    "pl": (
        "Rekonfiguracja",
        "Konfiguruj",
        "Zmień tryb",
        "Kolejkowanie",
        "Równoległy",
        "Dowiedz się więcej",
    ),
    "pt": ("Reconfigurar", "Configurar", "Alterar modo", "Fila", "Paralelo", "Saiba mais"),
    "ru": (
        "Перенастроить",
        "Настроить",
        "Изменить режим",
        "Очередь",
        "Параллельный",
        "Узнать больше",
    ),
    "uk": (
        "Переналаштувати",
        "Налаштувати",
        "Змінити режим",
        "\u0423 черзі",
        "Паралельний",
        "Дізнатись більше",
    ),
}
# What people type where they look for a trigger, a condition or an action.
TYPED = {
    "en": "payment money Bitcoin Lightning crypto invoice",
    "de": "Zahlung Geld Bitcoin Lightning Krypto Rechnung",
    "es": "pago dinero Bitcoin Lightning cripto factura",
    "fr": "paiement argent Bitcoin Lightning crypto facture",
    "it": "pagamento denaro Bitcoin Lightning cripto fattura",
    "ja": "支払 お金 ビットコイン Bitcoin Lightning 暗号資産 仮想通貨 請求書 インボイス",
    "nl": "betaling geld Bitcoin Lightning crypto factuur",
    "pl": "płatnoś pieniądze Bitcoin Lightning krypto faktur",
    "pt": "pagamento dinheiro Bitcoin Lightning cripto fatura",
    "ru": "платёж деньги Bitcoin биткоин Lightning криптовалют счёт",
    "uk": "платіж гроші Bitcoin біткоїн Lightning криптовалют рахун",
}

CODE = re.compile(r"`[^`]*`|https?://[^\s),]+|\{\w+\}")
BOLD = re.compile(r"\*\*[^*]+\*\*")

each_language = pytest.mark.parametrize("language", OTHERS)


def read(language: str) -> dict[str, str]:
    """Return the texts of a language by their path."""
    return dict(texts(json.loads((FOLDER / f"{language}.json").read_text())))


ENGLISH_TEXTS = dict(texts(ENGLISH))


def is_name(text: str) -> bool:
    """Whether there is nothing in a text that could be translated."""
    return not re.search("[a-z]{2}", CODE.sub("", text)) or text in NAMES


def test_languages() -> None:
    """The languages are those that were planned, and none is behind English."""
    assert set(OTHERS) == PLANNED
    assert json.loads(TRANSLATED.read_text()) == ENGLISH, (
        "English has changed: bring the other languages up to date, then copy en.json"
        f" to tests/{TRANSLATED.name}"
    )


@each_language
def test_keys(language: str) -> None:
    """A language has the texts that English has, in the same order, and no others."""
    assert list(read(language)) == list(ENGLISH_TEXTS)


@each_language
def test_gaps(language: str) -> None:
    """What is filled in, code, addresses, bold words and paragraphs are those of English."""
    for path, text in read(language).items():
        english = ENGLISH_TEXTS[path]
        assert sorted(CODE.findall(text)) == sorted(CODE.findall(english)), path
        assert len(BOLD.findall(text)) == len(BOLD.findall(english)), path
        assert text.count("\n") == english.count("\n"), path
        assert text == text.strip(), path
        assert text, path


@each_language
def test_is_translated(language: str) -> None:
    """No text is left in English, and none is in a sibling's language."""
    same_as_english = NAMES | SHARED[language]
    for path, text in read(language).items():
        if is_name(ENGLISH_TEXTS[path]):
            continue
        if text == ENGLISH_TEXTS[path]:
            assert text in same_as_english, f"{path} is English"
        elif own := OWN_SCRIPT.get(language):
            assert re.search(own, text.lower()), f"{path} has nothing of {language}"
        if foreign := FOREIGN.get(language):
            assert not re.search(foreign, text.lower()), path


@each_language
def test_names_in_bold(language: str) -> None:
    """A text calls a button, an option or an action what it is called where people find it."""
    translated = read(language)
    names = dict(zip(HOME_ASSISTANT, CALLED[language], strict=True))
    names |= {english: translated[path] for path, english in ENGLISH_TEXTS.items()}
    for path, english in ENGLISH_TEXTS.items():
        bold = BOLD.findall(translated[path])
        for name in BOLD.findall(english):
            if known := names.get(name.strip("*")):
                assert f"**{known}**" in bold, path


@pytest.mark.parametrize("language", TYPED)
@pytest.mark.parametrize("group", ["triggers", "conditions", "services"])
def test_is_found(group: str, language: str) -> None:
    """Whatever people type, something is found: the picker searches names and descriptions."""
    described = json.loads((FOLDER / f"{language}.json").read_text())[group].values()
    found = "\n".join(f"{each['name']} {each['description']}" for each in described).casefold()
    assert {word for word in TYPED[language].split() if word.casefold() not in found} == set()


@each_language
def test_one_word_for_a_status(language: str) -> None:
    """A status is called the same wherever it is chosen or shown."""
    translated = json.loads((FOLDER / f"{language}.json").read_text())
    shown = translated["entity"]["sensor"]["status"]["state"]
    assert translated["selector"]["status"]["options"].items() <= shown.items()


@each_language
def test_no_plurals(language: str) -> None:
    """No text bends with a number, as none does in English (see test_translations).

    Errors are put together by Home Assistant's Python side, which knows gaps and no plural
    forms; so a number stands apart in every text, and there is nothing to agree on.
    """
    for path, text in read(language).items():
        for _, gap, spec, _ in Formatter().parse(text):
            assert gap is None or gap.isidentifier(), path
            assert not spec, path


def swap(value: Any) -> Any:
    """Return texts without a letter of English: what a complete language looks like to a test."""
    if isinstance(value, dict):
        return {key: swap(text) for key, text in value.items()}
    return re.sub(f"({CODE.pattern})|[a-zA-Z]", lambda found: found[1] or "\u0436", value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("{provider}", "{account}", id="another gap"),
        pytest.param("`callback_url`", "callback_url", id="no code"),
        pytest.param("\n\n", " ", id="one paragraph"),
    ],
)
def test_a_slip_is_found(
    old: str, new: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """These tests find what they are for, also while there is only English."""
    monkeypatch.setattr("tests.test_languages.FOLDER", tmp_path)
    made_up = swap(ENGLISH)
    (tmp_path / "ru.json").write_text(json.dumps(made_up))
    for check in (test_keys, test_gaps, test_is_translated, test_one_word_for_a_status):
        check("ru")
    text = json.dumps(made_up["config"]["create_entry"])
    slip = text.replace(json.dumps(old)[1:-1], json.dumps(new)[1:-1])
    assert slip != text
    made_up["config"]["create_entry"] = json.loads(slip)
    (tmp_path / "ru.json").write_text(json.dumps(made_up))
    with pytest.raises(AssertionError):
        test_gaps("ru")
