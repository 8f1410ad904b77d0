"""Recipe section `filters.text`: published families of quality rules."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from curate.schemas.settings.section import Ratio, Section


class GopherQuality(Section):
    """Gopher's quality rules (Rae et al. 2021, appendix A.1.1; values as in datatrove)."""

    min_words: int | None = Field(50, ge=1, description="Fewest words.")
    max_words: int | None = Field(100_000, ge=1, description="Most words.")
    min_mean_word_length: float | None = Field(3, gt=0, description="In characters.")
    max_mean_word_length: float | None = Field(10, gt=0, description="In characters.")
    max_symbol_ratio: Ratio | None = Field(0.1, description="Most `#`, or ellipses, per word.")
    max_bullet_lines: Ratio | None = Field(0.9, description="Most lines that start with a bullet.")
    max_ellipsis_lines: Ratio | None = Field(0.3, description="Most lines that end with `...`.")
    min_alpha_words: Ratio | None = Field(0.8, description="Least words with a letter.")
    min_stop_words: int | None = Field(
        2, ge=1, description="Fewest words of: the, be, to, of, and, that, have, with."
    )
    different_stop_words: bool = Field(
        True, description="Count a repeated stop word once (datatrove); DCLM counts each."
    )


class GopherRepetition(Section):
    """Gopher's repetition rules (Rae et al. 2021, table A1)."""

    duplicate_lines: Ratio | None = 0.3
    duplicate_line_characters: Ratio | None = 0.2
    duplicate_paragraphs: Ratio | None = 0.3
    duplicate_paragraph_characters: Ratio | None = 0.2
    top_ngrams: dict[int, Ratio] = Field(
        {2: 0.2, 3: 0.18, 4: 0.16},
        description="Most of the text's characters in its most frequent n-gram, by n.",
    )
    duplicate_ngrams: dict[int, Ratio] = Field(
        {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.1},
        description="Most of the text's characters in n-grams that occurred before, by n.",
    )


class C4Rules(Section):
    """C4's rules on lines and pages (Raffel et al. 2020, section 2.2)."""

    variant: Literal["code", "paper"] = Field(
        "code",
        description="`code`: lines of 5 words and pages of 3 sentences, as the code that made C4; "
        "`paper`: lines of 3 words and pages of 5 sentences, as the paper and datatrove.",
    )
    line_words: int | None = Field(None, ge=0, description="Instead of the variant's.")
    sentences: int | None = Field(None, ge=0, description="Instead of the variant's.")
    require_end_mark: bool = Field(
        True, description="Drop lines that don't end a sentence (FineWeb leaves this out)."
    )
    max_word_characters: int = Field(1_000, ge=1, description="A line with a longer word goes.")

    @property
    def min_line_words(self) -> int:
        return {"code": 5, "paper": 3}[self.variant] if self.line_words is None else self.line_words

    @property
    def min_sentences(self) -> int:
        return {"code": 3, "paper": 5}[self.variant] if self.sentences is None else self.sentences


class RefinedWebLines(Section):
    """RefinedWeb's rules on lines (Penedo et al. 2023, appendix G.2; DCLM's values)."""

    max_uppercase: Ratio = Field(0.5, description="Most capitals among a line's characters.")
    max_numeric: Ratio = Field(0.999999, description="Most digits among a line's characters.")
    min_words: int = Field(2, ge=0, description="A line with fewer words goes.")
    boilerplate_words: int = Field(
        10, ge=0, description="Lines of so many words or fewer are looked at for buttons."
    )
    max_removed_words: Ratio | None = Field(
        0.05, description="Drop a document that loses a greater share of its words."
    )


class FineWebRules(Section):
    """FineWeb's own rules (Penedo et al. 2024, section 3.3)."""

    min_ended_lines: Ratio = Field(0.12, description="Least lines that end a sentence.")
    max_short_lines: Ratio = Field(0.67, description="Most short lines.")
    short_line_characters: int = Field(30, ge=0, description="A line is short up to this.")
    max_duplicate_characters: Ratio = Field(0.01, description="Most characters in repeated lines.")
    max_line_breaks: float = Field(0.3, ge=0, description="Most line breaks per word.")


class ObelicsLimits(Section):
    """OBELICS's limits on a paragraph or a document (configs/config_filter_web_documents.yaml)."""

    min_words: int | None = Field(4, ge=1, description="Fewest words.")
    max_words: int | None = Field(1_000, ge=1, description="Most words.")
    max_character_repetition: Ratio | None = Field(
        0.1, description="Most 10-grams of characters that are among the most frequent."
    )
    max_word_repetition: Ratio | None = Field(
        0.1, description="Most 5-grams of words that occur more than once."
    )
    max_special_characters: Ratio | None = Field(
        0.3, description="Most characters that are no letters; spaces count."
    )
    min_stop_words: Ratio | None = Field(0.3, description="Least words that are stop words.")
    max_flagged_words: Ratio | None = Field(0.01, description="Most words that are flagged.")
    max_spam_words: Ratio | None = Field(None, description="Most words of `spam_words`.")
    min_common_words: Ratio | None = Field(0.8, description="Least words of `common_words`.")
    min_punctuation: float | None = Field(
        0.001, ge=0, description="Fewest marks of punctuation per word."
    )
    punctuation_from_words: int = Field(
        12, ge=1, description="Words from which punctuation is asked for."
    )


class ObelicsRules(Section):
    """OBELICS's rules on paragraphs, then on what is left of the document."""

    stop_words: str | None = Field(
        None, description="File of stop words; null takes the English ones that ship."
    )
    flagged_words: str | None = Field(
        None, description="File of flagged words; null takes the adult words that ship."
    )
    spam_words: str | None = Field(
        None, description="File of words of spam; null leaves its limit out. None ships."
    )
    common_words: str | None = Field(
        None, description="File of the language's common words, likewise. None ships."
    )
    paragraph: ObelicsLimits = ObelicsLimits(max_spam_words=0.12)
    document: ObelicsLimits = ObelicsLimits(
        min_words=10,
        max_words=2_000,
        max_word_repetition=0.2,
        max_special_characters=0.275,
        min_stop_words=0.35,
        min_common_words=0.9,
        min_punctuation=0.03,
        punctuation_from_words=1,
    )


class ClassifierRules(Section):
    """A fastText classifier of quality (DCLM, section 4.4)."""

    model: str = Field(description="fastText model, as `curate train-classifier` makes one.")
    label: str = Field("__label__hq", description="Label of the texts to keep.")
    min_score: Ratio = Field(
        0.018112, description="Least probability of the label (DCLM's, for its own model)."
    )


class PerplexityRules(Section):
    """Perplexity under a KenLM model (CCNet; extra `kenlm`)."""

    model: str = Field(description="KenLM model, .arpa or binary.")
    tokenizer: str | None = Field(
        None, description="SentencePiece model whose pieces the KenLM model counts; null: words."
    )
    max_perplexity: float = Field(1_500, gt=0, description="OBELICS: 1500.")
    normalization: Literal["ccnet", "none"] = Field(
        "ccnet",
        description="`ccnet` takes case, accents and variants of punctuation away and makes every "
        "digit a 0, as the texts of CCNet's models; `none` leaves text as it is.",
    )


class Masking(Section):
    """Private data to replace by examples (FineWeb masks e-mail and public IP addresses)."""

    emails: bool = True
    ip_addresses: bool = Field(True, description="Public ones alone.")
    phone_numbers: bool = False


class TextRules(Section):
    """Published families of quality rules, applied in this order; null leaves a family out."""

    gopher_repetition: GopherRepetition | None = None
    gopher_quality: GopherQuality | None = None
    c4: C4Rules | None = None
    refinedweb_lines: RefinedWebLines | None = None
    fineweb: FineWebRules | None = None
    obelics: ObelicsRules | None = None
    classifier: ClassifierRules | None = None
    perplexity: PerplexityRules | None = None
    masking: Masking | None = None
