"""The words of the demo's pages, written for it."""

ARTICLES: dict[str, list[str]] = {
    "lighthouse": [
        "The lighthouse at the end of the pier was built in three summers by masons who slept in tents on the sand. Its lamp is lit every evening, an hour before the sun goes down, and the keeper climbs one hundred and twelve steps to do it.",
        "From the quay the tower looks plain: white walls, three red bands and a gallery of iron. Close by you see the marks of the storm of the second winter, when a wave lifted a block of granite and threw it against the door.",
        "Ships once steered by the colour of the light alone. Today every captain has a satellite receiver, yet most of them still look for the beam when they come around the headland, because a light that has never failed is hard to give up.",
        "The keeper says that the best hour is the one before dawn. The boats go out then, one behind the other, and for a few minutes the whole harbour is made of small moving lamps.",
    ],
    "bread": [
        "The bakery behind the fish market sells one loaf only. It is round, dark and heavy, and it keeps for a week in a cloth bag, which is what the crews of the fishing boats have always asked of it.",
        "The baker mixes rye with wheat and leaves the dough alone for eighteen hours. Nothing in the recipe is secret. What cannot be copied, she says, is the oven, which has been warm since before her grandmother was born.",
        "Visitors often ask why there are no rolls and no cakes. The answer is painted on the wall in letters as tall as a hand: bread takes all day, and a day has room for one thing done well.",
    ],
    "stars": [
        "On a clear night in January the breakwater is the best place in town to see the stars. There are no lamps beyond the last bollard, and the sea keeps the air so clean that the Milky Way has edges.",
        "A small society meets there on the first Friday of the month. They bring two telescopes, a box of blankets and a thermos for everybody, and they will show the rings of Saturn to anyone who walks by.",
        "The youngest member is eleven years old and keeps the log. She writes down the date, the wind, what was seen and by whom, and she never writes down anything that she has not seen herself.",
    ],
    "bees": [
        "Nobody planned the bees on the roof of the customs house. A swarm settled in the chimney one May, and when the officers came back from lunch there was a sound in the building like a distant engine.",
        "A retired pilot moved the swarm into a proper hive and has looked after it ever since. He weighs the hive every Sunday. The curve falls slowly in winter, and in June it climbs so fast that he has to add a box each week.",
        "The honey tastes of lime trees and a little of salt. It is not sold. At the end of summer every office in the building gets one jar, and the largest goes to whoever was stung most often.",
    ],
    "tides": [
        "Most people who live by the sea know that there are two high tides a day, and few can say why. The moon pulls the water nearest to it more strongly than it pulls the earth, and the earth more strongly than the water on the far side.",
        "So the ocean is stretched into a shape like an egg, with one bulge towards the moon and one away from it. The earth turns beneath both bulges once a day, and a harbour passes through high water twice.",
        "The times shift by about fifty minutes from one day to the next, because the moon has moved on along its path while the earth was turning. The table on the harbour office door has been calculated from this for two hundred years.",
        "When sun and moon pull along the same line the tide is at its highest, and fishermen call it a spring tide, whatever the season. Halfway between, the pull of one works against that of the other, and the water hardly seems to move.",
    ],
    "tea": [
        "The last of the tea clippers came into this harbour under a torn sail, nine days after the steamer that had left the same port on the same morning. The captain is said to have looked at the smoke on the horizon and to have said nothing for a week.",
        "For thirty years the race had been the talk of the coast. The first tea of the season brought the best price, and a ship that won by an hour was cheered from every roof between the cape and the bridge.",
        "What ended it was not speed alone. A steamer needs no wind, and it can go through the canal, which a sailing ship cannot. The clippers were sold to carry wool and timber, and their names were painted over.",
        "One anchor is left. It lies in front of the maritime school, and every new class is photographed beside it on the first day of term, which is as near to a ceremony as the school has ever come.",
    ],
    "bicycle": [
        "Salt is what kills a bicycle by the sea. It creeps into the chain, the spokes and the bearings, and it does its work in winter, while the machine hangs in a shed and everybody thinks that it is resting.",
        "The mechanic on the corner of the fish market has a cure that costs nothing. Rinse the bicycle with fresh water after every ride, dry it with a towel that you would not mind using yourself, and oil the chain while it is still a little warm.",
        "A chain treated in this way lasts three years instead of one. He has proof of it nailed to his wall: two chains from two brothers, bought on one day, one of them bright and the other a brown stick.",
    ],
    "quiz": [
        "On the last Thursday of the month the sailors' club holds its quiz night. Twelve tables of six compete for a ham, and the questions are read by the harbour master in a voice that is used to wind.",
        "The rules have not changed since the club was founded. No books, no telephones, and no advice from the bar. A wrong answer costs nothing, but whoever laughs at one must pay for a round.",
        "This month the questions were about geography, arithmetic and the history of the town. The table by the window won by a single point, and it will not be allowed to forget that the deciding answer was a guess.",
    ],
}

BENCHMARK_ITEM = (
    "A fisherman sells 14 boxes of herring in the morning and half as many in the afternoon. Each "
    "box holds 36 fish, and the cook of the sailors' club buys every third fish that is left from "
    "the afternoon. How many fish does the cook buy?"
)
"""An item of an evaluation set, which a page of the site holds."""

FOREIGN: dict[str, list[str]] = {
    "de": [
        "Am frühen Morgen ist der Hafen noch still. Nur die Möwen sind schon wach, und vor der Bäckerei wartet der erste Fischer auf sein Brot.",
        "Eine Stunde später fahren die Boote hinaus, eines hinter dem anderen, und der Leuchtturm löscht sein Licht, als hätte er auf sie gewartet.",
    ],
    "fr": [
        "Au petit matin, le port est encore silencieux. Seules les mouettes sont réveillées, et devant la boulangerie un pêcheur attend son pain.",
        "Une heure plus tard, les bateaux sortent l'un derrière l'autre, et le phare éteint sa lampe comme s'il les avait attendus.",
    ],
    "ja": [
        "早朝の港はまだ静かです。起きているのはカモメだけで、パン屋の前では最初の漁師がパンを待っています。",
        "一時間後、船は一隻ずつ沖へ出て行き、灯台は待っていたかのように明かりを消します。",
    ],
}

SPAM = (
    "🔥🔥 #win #prize #free 💰 click https://win.example/1 🎉 #now https://win.example/2 😀😀 the best "
    "offer for you and your friends 🔥 #deal #sale #today https://win.example/3 🎁 #lucky 💯💯 do not wait "
    "it is free for everyone who clicks on the link today 🚀 #click #win #money 💰💰 https://win.example/4"
)
