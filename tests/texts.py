"""Made-up prose of any length, the same for the same key, and edits of it."""

from __future__ import annotations

import random

_SYLLABLES = (
    "ba be bi bo bu da de di do du fa fe fi fo fu ga ge gi go gu ka ke ki ko ku la le li lo lu "
    "ma me mi mo mu na ne ni no nu pa pe pi po pu ra re ri ro ru sa se si so su ta te ti to tu"
).split()


def word(generator: random.Random) -> str:
    return "".join(generator.choices(_SYLLABLES, k=generator.choice((1, 2, 2, 3, 3, 4))))


def prose(key: str, words: int = 200) -> str:
    """Sentences of 5 to 15 words, in paragraphs."""
    generator = random.Random(key)
    vocabulary = [word(generator) for _ in range(2_000)]
    sentences = []
    while words > 0:
        count = min(words, generator.randrange(5, 16))
        sentences.append(" ".join(generator.choices(vocabulary, k=count)).capitalize() + ".")
        words -= count
    lines = [" ".join(sentences[i : i + 4]) for i in range(0, len(sentences), 4)]
    return "\n".join(lines)


def with_words_replaced(text: str, share: float, key: str) -> str:
    """The text with a share of its words replaced by others, in any case one."""
    generator = random.Random(key)
    words = text.split(" ")
    for index in generator.sample(range(len(words)), max(1, round(share * len(words)))):
        words[index] = "x" + word(generator)
    return " ".join(words)


ARPA = """\\data\\
ngram 1=5
ngram 2=1

\\1-grams:
-1.0\t<unk>\t0
-99\t<s>\t0
-0.5\t</s>
-0.25\tgood\t0
-0.75\ttext\t0

\\2-grams:
-0.25\ttext good

\\end\\
"""
"""A language model as KenLM reads it: two words, their probabilities as powers of ten."""
