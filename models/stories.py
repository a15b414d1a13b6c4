#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Children's stories and small dialogues from a seeded grammar, and the parser of the same grammar.

Owns the tables below: generator and parser walk the same ones, so the parser accepts exactly what
the generator can write.  Called by train.py (training text), samples.py and golden.py, and from the
command line.  Uses the Python standard library alone and never reads anything but its input.

A text is a row of sections; a section is a list of templates of which one is taken; a template is
plain text with slots.  {PLACE} takes a word from the table PLACE and keeps it for the whole text;
{FOOD2} is a second, independent word of the same table.  {NAME} is the hero, {PAL} the friend; they
have names of their own, as a small model hardly learns that two words of one table must differ.
he, him, his (and He, His) agree with the hero, {in} is the preposition phrase of {PLACE}, {eats} is
what {ANIMAL} eats.

  stories.py --count 3 --seed 7         three stories, one a line
  stories.py --dialogues --count 3      three dialogues, an empty line after each
  stories.py --check FILE               one text a line, or JSON: says which do not parse
"""

import argparse
import json
import random
import re
import sys

SHE = ["Lily", "Mia", "Anna", "Zoé", "Emma", "Sara", "Nina", "Rosa", "Ella", "Chloé"]
HE = ["Tom", "Ben", "Max", "René", "Sam", "Leo", "Tim", "Jack", "Noah", "Paul"]
PALS = ["Lucy", "Ida", "Mary", "Jane", "Clara", "Ruth", "Amy", "Kate", "Eva", "Tess",
        "Finn", "Oscar", "Hugo", "Peter", "Fred", "Mark", "Ned", "Carl", "Otto", "Will"]
PLACES = {
    "the park": "in the park", "the river": "by the river", "the garden": "in the garden",
    "the beach": "on the beach", "the café": "at the café", "the market": "at the market",
    "the forest": "in the forest", "the hill": "on the hill", "the pond": "by the pond",
    "the barn": "in the barn", "the meadow": "in the meadow", "the library": "at the library",
    "the playground": "on the playground", "the bridge": "under the bridge",
    "the farm": "on the farm", "the lake": "by the lake",
}
DIET = {
    "kitten": "fish", "puppy": "meat", "bird": "seeds", "duckling": "bugs", "lamb": "grass",
    "frog": "flies", "turtle": "leaves", "squirrel": "nuts", "pony": "hay", "goat": "weeds",
    "hen": "corn", "hedgehog": "worms",
}
TABLES = {
    "NAME": SHE + HE,
    "PAL": PALS,
    "PLACE": list(PLACES),
    "ANIMAL": list(DIET),
    "KIND": ["girl", "boy", "girl", "boy", "girl", "boy", "rabbit", "bear", "fox", "mouse", "cat",
             "dog", "pig"],
    "TRAIT": ["little", "brave", "kind", "curious", "shy", "clever", "happy", "quiet", "small",
              "gentle", "funny", "sleepy", "careful", "merry", "polite", "cheerful"],
    "HOME": ["near the sea", "in a small village", "at the edge of the woods", "on a quiet street",
             "in a yellow house", "next to the old mill", "behind the bakery", "in a big town",
             "under a tall oak tree", "at the end of a long road"],
    "OBJECT": ["ball", "kite", "drum", "boat", "hat", "scarf", "book", "bell", "basket", "lantern",
               "doll", "train", "cup", "whistle", "puppet", "blanket"],
    "COLOUR": ["red", "blue", "green", "yellow", "white", "black", "brown", "pink", "purple",
               "silver"],
    "GIFT": ["feather", "shell", "stone", "flower", "leaf", "button", "ribbon", "star"],
    "FOOD": ["apples", "soup", "cookies", "bread", "cake", "pancakes", "berries", "noodles",
             "cheese", "honey"],
    "DAY": ["sunny morning", "rainy day", "windy afternoon", "cold evening", "warm summer day",
            "quiet Sunday", "snowy morning", "bright spring day"],
    "LOVES": ["sing", "run fast", "draw pictures", "look at the stars", "dance", "tell jokes",
              "build towers", "listen to stories", "plant seeds", "play games"],
    "HABIT": ["fed the birds", "watered the flowers", "swept the floor", "counted the clouds",
              "said hello to the sun", "made the bed", "drank warm milk", "jumped over a puddle"],
    "ELDER": ["mother", "father", "grandmother", "grandfather", "aunt", "uncle", "cousin"],
    "GOOD": ["happy", "glad", "proud", "cheerful", "calm", "thankful"],
    "BAD": ["sad", "worried", "upset", "sorry", "unhappy"],
    "UNDER": ["under the bench", "under a bush", "in the tall grass", "inside a barrel",
              "under the table", "in an old boot"],
    "BEHIND": ["behind a tree", "near the gate", "behind the wall", "between the rocks",
               "beside the well", "behind the shed"],
    "FOUND": ["high up in a tree", "in a puddle", "under a pile of leaves", "on top of the fence",
              "in a nest", "behind a big stone"],
    "STUCK": ["in the mud", "in a net", "under a branch", "in a deep hole", "between two rocks",
              "in a bucket", "behind a fence"],
    "METHOD": ["used a long rope", "used a strong stick", "pulled as hard as they could",
               "worked for a long time", "made a small ladder"],
    "SIZE": ["tiny", "little", "young", "lost"],
    "SKILL": ["swim", "ride a bike", "bake bread", "play the flute", "skate", "climb a rope",
              "juggle", "read a map", "paint", "row a boat"],
    "NUMBER": ["two", "three", "five", "ten", "many"],
    "DREAM": ["the moon", "tomorrow", "new friends", "a big adventure", "the sea", "warm bread"],
}
PRONOUNS = {
    "he": ("she", "he"), "him": ("her", "him"), "his": ("her", "his"),
    "He": ("She", "He"), "His": ("Her", "His"),
}

OPENING = [
    "Once upon a time there was a {TRAIT} {KIND} named {NAME}.",
    "Once upon a time, a {TRAIT} {KIND} named {NAME} lived {HOME}.",
    "{NAME} was a {TRAIT} {KIND} who lived {HOME}.",
    "There once was a {TRAIT} {KIND} called {NAME} who lived {HOME}.",
    "Long ago, a {TRAIT} {KIND} named {NAME} lived {HOME}.",
    "This is the story of {NAME}, a {TRAIT} {KIND}.",
]
HABITS = [
    "{He} loved to {LOVES}.",
    "{NAME} loved to {LOVES}, and every morning {he} {HABIT}.",
    "Every morning {he} {HABIT}.",
    "{NAME} liked to eat {FOOD2} and to {LOVES}.",
    "More than anything, {NAME} loved to {LOVES}.",
]
SAD = [
    "{NAME} was very {BAD}.",
    "{NAME} felt {BAD} and began to cry.",
    "This made {NAME} very {BAD}.",
    "{He} sat down and felt {BAD}.",
]
PAL_COMES = [
    "{His} friend {PAL} came to help.",
    "Then {he} met {his} friend {PAL}.",
    "\"I will help you,\" said {his} friend {PAL}.",
    "Soon {his} friend {PAL} came along and asked what was wrong.",
]
CLOSING = [
    "{NAME} went home and felt very {GOOD}.",
    "That night, {NAME} slept well and dreamed of {DREAM}.",
    "It was the best day of all.",
    "{NAME} was {GOOD} and went home with a big smile.",
    "And that is how {NAME} became so {GOOD}.",
    "At home, {his} {ELDER2} gave {him} a big hug.",
]
PLOTS = [
    [   # Something is lost.
        ["One {DAY}, {NAME} took {his} {COLOUR} {OBJECT} to {PLACE}.",
         "One {DAY}, {NAME} went to {PLACE} with {his} {COLOUR} {OBJECT}.",
         "One {DAY}, {NAME} played {in} with {his} {COLOUR} {OBJECT}."],
        ["Suddenly the wind blew and the {OBJECT} flew away.",
         "When it was time to go home, {he} could not find the {OBJECT}.",
         "But soon the {COLOUR} {OBJECT} was gone."],
        SAD,
        PAL_COMES,
        ["They looked {UNDER} and {BEHIND}.",
         "They looked {UNDER}, but the {OBJECT} was not there.",
         "They looked {BEHIND}, but they only saw a {ANIMAL}."],
        ["At last {PAL} saw the {OBJECT} {FOUND}.",
         "Then {NAME} found the {COLOUR} {OBJECT} {FOUND}.",
         "\"Here it is!\" said {PAL}, and gave the {OBJECT} to {NAME}."],
        ["\"Thank you, {PAL}!\" said {NAME}.",
         "{NAME} and {PAL} jumped for joy.",
         "{NAME} learned that it is good to have a friend."],
    ],
    [   # An animal is stuck.
        ["One {DAY}, {NAME} walked to {PLACE}.",
         "One {DAY}, {NAME} heard a strange sound {in}.",
         "One {DAY}, {NAME} was {in} with {his} {ELDER}."],
        ["There {he} saw a {SIZE} {ANIMAL} that was stuck {STUCK}.",
         "A {SIZE} {ANIMAL} was stuck {STUCK}."],
        ["\"Please help me!\" said the {ANIMAL}.",
         "The {ANIMAL} cried and cried.",
         "The {ANIMAL} could not get out."],
        ["{NAME} pulled and pulled, but {he} was not strong enough.",
         "{NAME} wanted to help, but {he} did not know how."],
        PAL_COMES,
        ["Together they {METHOD}, and the {ANIMAL} was free.",
         "{NAME} and {PAL} {METHOD} until the {ANIMAL} was free."],
        ["\"Thank you, {NAME}!\" said the {ANIMAL}.",
         "The {ANIMAL} gave {him} a {COLOUR} {GIFT} and ran away.",
         "From that day on, {NAME} and the {ANIMAL} were friends."],
    ],
    [   # A strange noise.
        ["One {DAY}, {NAME} heard a loud noise near {PLACE}.",
         "One {DAY}, there was a loud noise {in}."],
        ["{He} was scared and hid {UNDER}.",
         "{NAME} was scared and wanted to run home.",
         "\"Who is there?\" asked {NAME}, but nobody said a word."],
        ["Then {his} {ELDER} took a {COLOUR} lantern, and they went to look.",
         "{His} {ELDER} said, \"Do not be afraid.\"",
         "So {he} went to get {his} {ELDER}."],
        ["It was only a {SIZE} {ANIMAL} looking for {FOOD}.",
         "It was only a {SIZE} {ANIMAL} that wanted some {FOOD}."],
        ["\"You must be hungry,\" said {NAME}, and {he} gave the {ANIMAL} some {FOOD}.",
         "{NAME} laughed and gave the {ANIMAL} some {FOOD}.",
         "They brought {FOOD} and a {COLOUR2} blanket for the {ANIMAL}."],
        ["After that, {NAME} was not scared anymore.",
         "{NAME} learned that a loud noise can be a new friend.",
         "The {ANIMAL} ate the {FOOD} and fell asleep."],
    ],
    [   # Sharing food.
        ["One {DAY}, {NAME} sat {in} with some {FOOD}.",
         "One {DAY}, {NAME} took some {FOOD} to {PLACE}.",
         "One {DAY}, the {ELDER} of {NAME} brought home some {FOOD}."],
        ["{He} wanted to eat all the {FOOD} alone.",
         "The {FOOD} smelled so good that {NAME} could not wait."],
        ["Then {his} friend {PAL} came along and had nothing to eat.",
         "Then {NAME} saw {his} friend {PAL}, who was very hungry."],
        ["\"May I have some {FOOD}?\" asked {PAL}.",
         "{PAL} looked at the {FOOD} and felt {BAD}."],
        ["{NAME} thought about it for a while.",
         "At first {NAME} said no, but then {he} felt {BAD2}."],
        ["Then {he} gave half of the {FOOD} to {PAL}.",
         "\"Let us share,\" said {NAME}, and they ate the {FOOD} together."],
        ["{PAL} was so {GOOD2} that they both danced.",
         "{NAME} learned that food is better with a friend.",
         "{PAL} smiled and gave {NAME} a {COLOUR} {GIFT}."],
    ],
    [   # Learning something.
        ["One {DAY}, {NAME} wanted to learn how to {SKILL}.",
         "One {DAY}, {NAME} saw {his} {ELDER} {SKILL}, and {he} wanted to learn it too."],
        ["At first it was very hard.",
         "{He} tried {NUMBER} times, but it did not work.",
         "{NAME} made {NUMBER} mistakes."],
        SAD,
        ["\"Do not give up!\" said {his} friend {PAL}.",
         "{His} friend {PAL} said, \"Try again tomorrow.\"",
         "But {his} friend {PAL} showed {him} how to {SKILL}."],
        ["So {NAME} tried again and again {in}.",
         "The next day, {NAME} and {PAL} went to {PLACE} and tried again."],
        ["At last {NAME} could {SKILL}!",
         "After {NUMBER2} days, {he} could {SKILL} very well."],
        ["\"You did it, {NAME}!\" said {PAL}.",
         "{PAL} clapped and gave {NAME} a {COLOUR} {GIFT}.",
         "{NAME} learned that one should never give up."],
    ],
    [   # A birthday.
        ["One {DAY}, it was the birthday of {his} friend {PAL}.",
         "One {DAY}, {his} friend {PAL} had a birthday party {in}."],
        ["But {NAME} had no gift for {PAL}.",
         "{NAME} wanted to give {PAL} a very good gift."],
        ["{He} looked {UNDER} and {BEHIND}.",
         "\"What should I do?\" {he} asked {his} {ELDER}."],
        ["There {he} found a {COLOUR} {GIFT}.",
         "Then {he} saw a {COLOUR} {GIFT} {FOUND}."],
        ["{NAME} put the {GIFT} in a {COLOUR2} box.",
         "{NAME} carried the {GIFT} all the way to {PAL}."],
        ["\"What a fine {GIFT}!\" said {PAL}.",
         "{PAL} loved the {COLOUR} {GIFT} and said thank you."],
        ["Then they all ate {FOOD} and played games.",
         "They ate {FOOD} until they were full."],
    ],
    [   # A quarrel.
        ["One {DAY}, {NAME} and {his} friend {PAL} found a {COLOUR} {OBJECT} {in}.",
         "One {DAY}, {NAME} and {his} friend {PAL} went to {PLACE} with a {COLOUR} {OBJECT}."],
        ["\"It is mine!\" said {NAME}.",
         "\"I want the {OBJECT}!\" shouted {PAL}.",
         "Both of them wanted to have the {OBJECT}."],
        ["They pulled and pulled until the {OBJECT} broke.",
         "Then the {COLOUR} {OBJECT} fell into the water."],
        SAD,
        ["\"I am sorry, {PAL},\" said {NAME}.",
         "\"I am sorry, {NAME},\" said {PAL}."],
        ["They asked {his} {ELDER} for help, and soon the {OBJECT} was as good as new.",
         "Together they got the {OBJECT} back and made it clean."],
        ["Now {NAME} and {PAL} share the {COLOUR} {OBJECT}.",
         "{NAME} and {PAL} never had a fight again.",
         "They learned that it is better to share."],
    ],
]
STORIES = [[OPENING, HABITS] + plot + [CLOSING] for plot in PLOTS]

# A dialogue is a row of exchanges, each with words of its own; only {NAME}, the user's, is kept.
EXCHANGES = [
    (["Hello!", "Hi there!", "Good morning!"],
     ["Hello! How can I help you?", "Hi! What would you like to know?"]),
    (["My name is {NAME}.", "I am {NAME}."],
     ["Nice to meet you, {NAME}!", "Hello, {NAME}! It is good to meet you."]),
    (["What does a {ANIMAL} eat?", "Can you tell me what a {ANIMAL} eats?"],
     ["A {ANIMAL} eats {eats}.", "A {ANIMAL} likes to eat {eats}."]),
    (["Where can I {SKILL}?", "I want to {SKILL}. Where should I go?"],
     ["You can {SKILL} {in}.", "Go to {PLACE}. It is a good place for that."]),
    (["I feel {BAD} today.", "I am {BAD}."],
     ["I am sorry that you feel {BAD}. You could {LOVES} or talk to your {ELDER}.",
      "That is hard. A walk to {PLACE} may help you to feel {GOOD} again."]),
    (["What should I eat?", "I am hungry."],
     ["How about some {FOOD}?", "You could have {FOOD} and {FOOD2}."]),
    (["Tell me a story about a {ANIMAL}.", "Do you know a story about a {ANIMAL}?"],
     ["Once upon a time there was a {SIZE} {ANIMAL} {in}. One {DAY}, it found a {COLOUR} {GIFT} "
      "{FOUND}. It was the best day of all."]),
    (["What is a good gift for my {ELDER}?", "I need a gift for my {ELDER}."],
     ["A {COLOUR} {GIFT} would make your {ELDER} {GOOD}.", "You could make some {FOOD}."]),
    (["Thank you!", "Thanks, that is all."],
     ["You are welcome!", "You are welcome. Have a good day!"]),
]
MAX_EXCHANGES = 4

SLOT = re.compile(r"\{(\w+)\}")


def values(slot, words):
    """All that `slot` may be, given the words chosen so far."""
    if slot in words:
        return [words[slot]]
    if slot in PRONOUNS:
        return [PRONOUNS[slot][words["NAME"] in HE]]
    if slot == "in":
        return list(PLACES.values()) if "PLACE" not in words else [PLACES[words["PLACE"]]]
    if slot == "eats":
        return [DIET[words["ANIMAL"]]]
    if slot == "NAME" and words.get("KIND") in ("girl", "boy"):
        return SHE if words["KIND"] == "girl" else HE
    if slot == "KIND" and "NAME" in words:
        other = "girl" if words["NAME"] in HE else "boy"
        return [k for k in TABLES["KIND"] if k != other]
    return TABLES[slot.rstrip("0123456789")]


def keep(slot, value, words):
    """The words after `slot` has become `value`."""
    if slot == "in":
        place = next(p for p, phrase in PLACES.items() if phrase == value)
        return {**words, "PLACE": place}
    if slot in PRONOUNS or slot == "eats":
        return words
    return {**words, slot: value}


def fill(template, words, rng):
    """Write `template`; returns the text and the words kept."""
    out = []
    for i, part in enumerate(SLOT.split(template)):
        if i % 2:
            value = rng.choice(values(part, words))
            words = keep(part, value, words)
            part = value
        out.append(part)
    return "".join(out), words


def match(parts, text, pos, words):
    """All ways to read the template `parts` in `text` from `pos`: yields (end, words)."""
    if not parts:
        yield pos, words
        return
    head, *rest = parts
    if not head.startswith("{"):
        if text.startswith(head, pos):
            yield from match(rest, text, pos + len(head), words)
        return
    slot = head[1:-1]
    for value in dict.fromkeys(values(slot, words)):
        if text.startswith(value, pos):
            yield from match(rest, text, pos + len(value), keep(slot, value, words))


def parts_of(template):
    return [p for p in re.split(r"(\{\w+\})", template) if p]


def match_sections(sections, text, pos, words):
    """True when `sections` read all of `text` from `pos`, one space between them."""
    if not sections:
        return pos == len(text)
    if pos:
        if not text.startswith(" ", pos):
            return False
        pos += 1
    return any(match_sections(sections[1:], text, end, after)
               for template in sections[0]
               for end, after in match(parts_of(template), text, pos, words))


def story(rng):
    words, out = {}, []
    for section in rng.choice(STORIES):
        text, words = fill(rng.choice(section), words, rng)
        out.append(text)
    return " ".join(out)


def opening(text):
    """The first sentence of a story: what a sample is started from."""
    return text[:text.index(".") + 1]


def parses(text):
    """True when `text` is a story of this grammar."""
    return any(match_sections(sections, text, 0, {}) for sections in STORIES)


def dialogue(rng):
    words, out = {}, []
    for user, assistant in rng.sample(EXCHANGES, rng.randint(1, MAX_EXCHANGES)):
        for who, section in (("User: ", user), ("Assistant: ", assistant)):
            text, words = fill(rng.choice(section), words, rng)
            out.append(who + text)
        words = {k: v for k, v in words.items() if k == "NAME"}
    return "\n".join(out)


def parses_dialogue(text):
    """True when `text` is a dialogue of this grammar."""
    def exchange(lines, left, words):
        if not lines:
            return len(left) >= len(EXCHANGES) - MAX_EXCHANGES
        if len(lines) < 2:
            return False
        for entry in left:
            for after in both(entry, lines[0], lines[1], words):
                kept = {k: v for k, v in after.items() if k == "NAME"}
                if exchange(lines[2:], [e for e in left if e is not entry], kept):
                    return True
        return False

    def both(entry, first, second, words):
        for asked in whole(entry[0], "User: ", first, words):
            yield from whole(entry[1], "Assistant: ", second, asked)

    def whole(section, who, line, words):
        for template in section:
            for end, after in match([who] + parts_of(template), line, 0, words):
                if end == len(line):
                    yield after

    return bool(text) and exchange(text.split("\n"), list(EXCHANGES), {})


def stream(seed, make=story):
    """Endless different texts of one seed, the same ones in each run."""
    rng, seen = random.Random(seed), set()
    while True:
        text = make(rng)
        if text not in seen:
            seen.add(text)
            yield text


def read_texts(handle):
    """Texts to check: JSON (strings, or objects with "text" and maybe "prompt") or one a line.

    One JSON value a line, one JSON array, or one object over several lines all do; a prompt that
    the text does not repeat is put in front of it.
    """
    def of(value):
        if isinstance(value, list):
            return [t for v in value for t in of(v)]
        if isinstance(value, dict):
            text, prompt = value["text"], value.get("prompt", "")
            return [text if text.startswith(prompt) else prompt + text]
        return [value]

    data = handle.read()
    if data.lstrip()[:1] not in ("{", "[", "\""):
        return [line for line in data.splitlines() if line.strip()]
    decoder, texts, pos = json.JSONDecoder(), [], 0
    try:
        while data[pos:].strip():
            pos += len(data[pos:]) - len(data[pos:].lstrip())
            value, pos = decoder.raw_decode(data, pos)
            texts += of(value)
    except json.JSONDecodeError:
        return [line for line in data.splitlines() if line.strip()]
    return texts


def main():
    parser = argparse.ArgumentParser(description="Writes and checks stories of a small grammar.")
    parser.add_argument("--count", type=int, default=1, help="texts to write (1)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the generator (0)")
    parser.add_argument("--dialogues", action="store_true", help="dialogues in place of stories")
    parser.add_argument("--json", action="store_true", help="write each text as a JSON string")
    parser.add_argument("--check", metavar="FILE",
                        help="check the texts in FILE (- is standard input), one a line or JSON; "
                        "exit 1 when one does not parse")
    parser.add_argument("--min-share", type=float, default=1.0,
                        help="with --check: the share that has to parse (1)")
    args = parser.parse_args()
    if not args.check:
        texts = stream(args.seed, dialogue if args.dialogues else story)
        for _ in range(args.count):
            text = next(texts)
            if args.json:
                text = json.dumps(text, ensure_ascii=False)
            print(text, end="\n\n" if args.dialogues and not args.json else "\n")
        return 0
    with (sys.stdin if args.check == "-" else open(args.check, encoding="utf-8")) as handle:
        texts = read_texts(handle)
    check = parses_dialogue if args.dialogues else parses
    good = 0
    for number, text in enumerate(texts, 1):
        if check(text.strip()):
            good += 1
        else:
            print(f"{number}: does not parse: {text.strip()}")
    print(f"{good} of {len(texts)} parse")
    return 0 if texts and good >= args.min_share * len(texts) else 1


if __name__ == "__main__":
    sys.exit(main())
