"""Captions as a good model writes them, of many kinds: no rule of the screening may fire on any of them."""

from __future__ import annotations

SHORT = [
    "A black cat asleep on a windowsill.",
    "Two red buses at a stop",
    "Snowy mountain at dawn",
    "Close-up of a bumblebee on lavender",
    "Empty basketball court, seen from above.",
    "Three lemons in a blue bowl.",
    "Vintage typewriter, olive green",
    "Portrait of an old man with a white beard",
    "Eiffel Tower at night",
    "Golden retriever puppy in wet grass.",
    "Yellow taxi on Fifth Avenue, New York",
    "BMW R 75/5, 1972",
    "Size 42 leather boots.",
    "Map of Portugal",
    "4 × 4 grid of passport photos",
    "No parking sign",
    "Sorry-looking wet dog under a table.",
    "Woman in a cloche hat, 1930s",
    "Unfinished brick house, no windows.",
    "Please-touch exhibit at a science museum.",
]

NAMES = [
    "Łódź Fabryczna railway station, entrance hall",
    "Palacio de la Alhambra, Granada, Andalucía, Spain",
    "Ludwig van Beethoven, oil portrait by Joseph Karl Stieler",
    "Château de Chenonceau and its bridge over the Cher",
    "São Paulo skyline from the Edifício Itália",
    "Café Müller, Wuppertal, with three tables outside",
    "Nguyễn Huệ walking street in Hồ Chí Minh City, decorated for Tết",
    "Dvořák's statue stands before the Rudolfinum in Prague.",
    "Museo Nacional del Prado and the Jardín Botánico in Madrid, seen from a balcony",
    "The Tokyo Tower (東京タワー) is lit orange against a dark blue sky.",
    "Poster of 千と千尋の神隠し",
    "A bust of Фёдор Достоевский stands on a shelf between two rows of books.",
    "Reykjavík's Hallgrímskirkja rises above rows of colourful corrugated-iron houses.",
    "A street sign for the Kurfürstendamm hangs from a lamp post beside a bakery named Bäckerei Weiß.",
    "Die Hard film poster with Bruce Willis in front of a burning tower",
    "Le Petit Prince and La Peste, two paperbacks, on a wooden table",
    "An El Al airliner taxis past a De Havilland Dash 8.",
    "Rio de Janeiro, Brazil: Cristo Redentor above the clouds",
    "Musée de la Ville de Paris",
    "Sir David Attenborough kneels beside a tortoise on a gravel path.",
]

LETTERING = [
    'A sign reads "Sorry, we are closed" behind a glass door with a brass handle.',
    "A handwritten note taped to a fridge says “I'm sorry, I can't come tonight. Love, Mum”.",
    "A neon sign spells 'OPEN 24 HOURS' in pink and green above a diner window.",
    'The T-shirt carries the words "I cannot see the image" in white letters on black cotton.',
    'A mug on a desk is printed with "As an AI language model, I drink coffee" in blue.',
    '"STOP" is painted on the road in white letters, and "SLOW" on the lane beside it.',
    'A street sign in two languages: "東京駅" above "Tokyo Station", white on blue.',
    "A shop front with the lettering «Boulangerie de la Gare, pain au levain et pâtisseries» in gold.",
    'A German warning sign, "Betreten der Baustelle verboten, Eltern haften für ihre Kinder", hangs on a fence.',
    'Graffiti on a concrete wall spells "HA HA HA" three times in dripping red paint.',
    "A crossword with the answers 'OTTER', 'LYNX' and 'IBEX' filled in with pencil.",
    'A 1950s advert: "Drink Cola! It\'s cold." under a smiling woman with a bottle.',
    "A red banner with the Chinese characters “新年快乐” above the door of a restaurant.",
    'The scoreboard shows "HOME 3" and "AWAY 2" with 12:45 left on the clock.',
    "A cardboard sign, 'Free kittens', is propped against a box with three tabby kittens.",
    'A screenshot of a page with the heading "404", below it "The image cannot be displayed", and a broken-image icon.',
    "A licence plate reading 7ABC123 on the back of a dusty grey pickup truck.",
    'The label on the jar says "Miel de lavande, 250 g, récolte 2019" in brown script.',
    "A T-shirt that says 'Don't panic' in large, friendly letters.",
    "A tattoo of the words “carpe diem” runs along the inside of a left forearm.",
]

SCENES = [
    "A man in a yellow raincoat pushes a bicycle across a wooden footbridge. Behind him, fog hides the far bank "
    "of the river, and two ducks swim near the reeds on the left.",
    "Four children sit on a low brick wall, from left to right: a girl in a red dress, a boy in a striped shirt, "
    "a girl in blue dungarees, and a toddler holding a green balloon.",
    "A kitchen counter holds a white kettle, a wooden chopping board with half an onion, and a glass jar of "
    "pasta. Sunlight falls from a window on the right.",
    "Seven sailing boats with white hulls lie side by side in a marina. Their masts are bare, and the water is calm.",
    "An elderly couple shares a bench under a chestnut tree; she reads a newspaper, he feeds pigeons from a paper bag.",
    "A close-up of a circuit board with a large square chip in the middle, surrounded by rows of small brown "
    "capacitors.",
    "A woman in a grey suit speaks at a lectern. To her right, a screen shows a bar chart with five blue bars.",
    "Aerial view of a roundabout in which four roads meet. About a dozen cars are on it, most of them white or silver.",
    "A tabby cat looks out of a cardboard box. The box stands on a herringbone floor next to a pair of brown boots.",
    "A market stall with crates of tomatoes, aubergines, peppers and courgettes; a man in an apron weighs "
    "something on a scale while two customers wait.",
    "At dusk, a lighthouse with a red and white striped tower stands at the end of a stone pier. Waves break "
    "against it.",
    "A surfer in a black wetsuit rides a small wave towards the right of the frame, arms stretched out, knees bent.",
    "A plate with two fried eggs, three rashers of bacon, a grilled tomato and baked beans, photographed from above.",
    "A steam locomotive numbered 60103 pulls six maroon coaches over a viaduct with twenty-four arches.",
    "A man in a crowd is unable to see the stage over the people in front of him and stands on tiptoe.",
    "A lone hiker with an orange backpack follows a path through knee-high grass. Snow-capped peaks fill the "
    "background.",
    "Two chess players lean over a board in a park. The player on the left, wearing a flat cap, has just lifted a"
    " knight.",
    "A bride and groom walk down the steps of a church while guests throw rice. An old black car waits at the kerb.",
    "A macro photograph of a dewdrop on a blade of grass, in which a tiny inverted image of a house can be seen.",
    "A goalkeeper in a green jersey dives to his left, fingertips touching the ball, in front of a full stand.",
    "An Airbus A320 of Lufthansa, with its landing gear down, flies low over a beach where sunbathers look up.",
    "A narrow alley with washing lines between the houses. On the ground floor, a barber's pole turns beside an "
    "open door.",
    "A wooden table is set for six, with white plates, folded blue napkins, and a vase of sunflowers in the centre.",
    "A firefighter sprays water from a ladder at the third floor of a burning building; thick black smoke drifts "
    "to the left.",
    "A group of about fifteen flamingos stands in shallow water. Most have their heads down; one spreads its wings.",
    "A workbench with a vice on the left, three chisels in a rack, and curls of wood on the floor below.",
    "A girl of about ten blows soap bubbles in a garden, wearing a white T-shirt, denim shorts and no shoes.",
    "A red double-decker bus, route 15, passes St. Paul's Cathedral. Mr. Whippy's ice cream van is parked opposite.",
    "A dark room lit only by a computer monitor, on which lines of green text can be seen on a black background.",
    "A hot-air balloon with a rainbow pattern floats above vineyards; its shadow lies on the field below.",
]

LISTS = [
    "Five cars in a row: a red, a blue, a green, a white and a black one.",
    "A striped awning, red, white, red, white, red, white, over a café door.",
    "Sneakers, backpack, water bottle, notebook, pens, headphones, sunglasses, wallet and keys laid out on a "
    "white sheet.",
    "Coloured pencils in a tin: yellow, orange, red, pink, purple, light blue, dark blue, light green, dark "
    "green, brown, grey and black.",
    "A grid of nine icons: a house, a bell, a lock, a cloud, a star, a heart, a flag, a camera and a gear.",
    "The first bar is blue and reaches 20 percent, the second bar is orange and reaches 35 percent, the third bar"
    " is green and reaches 45 percent.",
    "A man in a suit, a woman in a dress, a man in a uniform, a boy in a jersey and a girl in a costume stand in "
    "a line.",
    "Rows of drawers labelled A1, A2, A3, B1, B2, B3, C1, C2 and C3.",
    "One apple, two pears, three plums, four cherries, five grapes.",
    "There is a lamp on the left side of the bed, and there is a lamp on the right side of the bed; the bed has a"
    " grey cover.",
    "Ten domino tiles: 6-6, 6-5, 5-5, 5-4, 4-4, 4-3, 3-3, 3-2, 2-2 and 2-1.",
    "A traffic light shows red, above a smaller one for bicycles that also shows red, and one for pedestrians, "
    "red as well.",
]

DOCUMENTS = [
    "An invoice from Hartmann & Sons Ltd., dated 14 March 2021, number 2021-0387, lists four items and a total of"
    " €1,284.50 including 19% VAT. A blue stamp marks it as paid.",
    "The first page of a scientific article in two columns, with the title “Attention in Sparse Networks”, five "
    "authors, an abstract, and a footnote with an e-mail address.",
    "A typed letter on yellowed paper, dated 3 Sept. 1944, begins with 'Dear Margaret' and tells of a delayed "
    "train. Two lines have been crossed out in ink.",
    "A tax form with boxes for name, address and date of birth, filled in by hand. The signature at the bottom is"
    " illegible.",
    "A restaurant menu in French and English: soups from $6.50, main courses from $18, and a note about "
    "allergens, e.g. nuts.",
    "A slide titled 'Q3 results' with three bullet points on revenue, costs and headcount, and a small logo at "
    "the top right.",
    "A page of sheet music, 'Nocturne Op. 9 No. 2' by F. Chopin, with pencilled fingerings above the right hand's"
    " notes.",
    "A boarding pass of KLM from Amsterdam (AMS) to Toronto (YYZ), seat 23A, gate D7, boarding at 10:25.",
    "A German birth certificate from 1931, with an eagle stamp, a handwritten name and the place Königsberg.",
    "A page of an account book. Columns give date, payee and amount; the sum at the bottom is 3,417.20 in red ink.",
    "A train timetable lists departures every 20 minutes from 5:10 a.m. to 11:50 p.m. Trains marked with an "
    "asterisk don't run on Sundays.",
    "A newspaper front page with the headline 'Storm cuts power to 40,000 homes' above a photograph of a fallen tree.",
    "A prescription by Dr. A. J. Patel for 500 mg amoxicillin, three times a day for seven days.",
    "The document is a rental contract of two pages; clause 4 sets the rent at 950 euros per month, due on the 1st.",
]

CHARTS = [
    "A line chart of monthly rainfall in Bergen, in millimetres, with a peak of about 283 in October and a low of"
    " 84 in May.",
    "A pie chart with four slices: coal 38%, gas 27%, wind 22% and solar 13%. Coal is grey, gas orange, wind "
    "blue, solar yellow.",
    "A scatter plot of height against weight for 200 adults. Points rise from lower left to upper right; r = 0.71"
    " is printed in the corner.",
    "A bar chart titled “Exports by country, 2015–2020”. Germany leads with 1,380 billion dollars, followed by "
    "Japan (641) and Italy (496).",
    "A flow chart with six boxes leads from 'Order received' via 'Payment ok?' to 'Ship' or 'Cancel'.",
    "A histogram with twelve bins; the values 0, 0, 1, 4, 9, 15, 22, 18, 11, 5, 2 and 0 are written above the bars.",
    "Two curves cross at x = 2.5: the solid one, f(x) = x², and the dashed one, g(x) = 2x + 1.25.",
    "A heat map of weekdays against hours, darkest on Fridays between 17:00 and 19:00, lightest on Sundays before"
    " 8:00.",
    "A Gantt chart with nine tasks from January to June. 'Testing' overlaps with 'Training' by three weeks.",
    "An organisational diagram: one director, three managers below, and eleven employees in the bottom row.",
    "A map of Europe shaded by unemployment, from 3% (light) to 18% (dark). Spain and Greece are darkest.",
    "Temperatures of −4 °C, 0 °C and 12.5 °C are marked on a thermometer diagram; Δt is given as 16.5 K.",
]

SCREENS = [
    "A screenshot of a code editor with a dark theme. A function named load_items is open, and line 42 is "
    "underlined in red.",
    "A phone screen with a chat between two people; the last message, in a green bubble, says “see you at 8 :)”.",
    "A web page's source code in which the tag \"<div class='main'>\" is highlighted in yellow.",
    "A terminal window prints 'error: file not found' three times, followed by a blinking cursor.",
    "A spreadsheet with columns A to F and 30 rows; cell D12 is selected and holds the formula =SUM(D2:D11).",
    "A video game with a health bar at 75/100, a map at the lower right, and a knight facing a dragon.",
    "A login form with two fields, a blue button, and a link below that reads “Forgot password?”. The password is"
    " shown as eight asterisks.",
    "A weather app for Kraków: 21 °C, partly cloudy, 40% chance of rain; the coming five days are listed below.",
    "A music player shows 'Für Elise' at 1:07 of 2:54, with the pause symbol in the centre.",
    "A spam e-mail with the subject “You won $1,000,000!!!” and a button marked “CLAIM NOW”.",
]

OTHER = [
    "A watercolour of a harbour: loose washes of blue and grey, a few strokes of ochre for the boats.",
    "A 3D render of a glass chess set on a mirror, with soft light from above and a black background.",
    "A pencil sketch of a hand, palm up. The paper is cream-coloured, and the thumb is only outlined.",
    "A logo: the letter K in white inside an orange hexagon.",
    "An emoji-style drawing of a smiling sun wearing sunglasses 😎 on a pale yellow ground.",
    'A 27" monitor on a desk, beside a keyboard and a 5" phone on a stand.',
    "A black-and-white photograph from the '60s: three men in hats lean on a Buick, cigarettes in hand.",
    "The frame is filled with raindrops on a window; behind it, out of focus, are the lights of a city.",
    "An X-ray of a left hand with a ring on the fourth finger and a fracture of the second metacarpal.",
    "A stained-glass window with St. George and the dragon; the inscription below is in Latin.",
    "A meme with a sceptical-looking dog and the caption 'Is it Friday yet?' in bold white capitals.",
    "In the first frames a boy throws a ball to the right; a dog runs after it, jumps, and catches it near a fence.",
    "A cyclist comes round the corner, slips on wet leaves and falls to the left. He gets up, and the camera pans"
    " to the bike.",
    "A woman pours flour into a bowl, adds two eggs, stirs with a wooden spoon, and then kneads the dough on a board.",
    "Here is where two rivers meet: brown water from the left, clear green water from the right, with a visible "
    "line between.",
    "A description board in a museum stands beside a skeleton of a mammoth.",
    "I ♥ NY is printed on a white mug that stands on a windowsill in front of a fire escape.",
    "Left to right, in front of a brick wall: a broom, a rake, a spade and a watering can, all with wooden handles.",
    "It looks like a painted egg, but a seam down the middle and a small hinge show that it is a box; it is open.",
    "A blackboard with 5 * 3 = 15 and 2 * 4 = 8 in yellow chalk, next to a 10 cm ruler.",
]

GOOD_CAPTIONS = [*SHORT, *NAMES, *LETTERING, *SCENES, *LISTS, *DOCUMENTS, *CHARTS, *SCREENS, *OTHER]
