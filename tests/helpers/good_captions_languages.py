"""Captions as a good model writes them, in every language that can be requested, and more English ones that mislead.

Each line is a language and a caption. No rule of the screening may fire on any of them.
"""

from __future__ import annotations

_CAPTIONS = """
en A sign on a shop door says "I'm sorry, we can't help you today", with a phone number below.
en A speech bubble above a cartoon cat reads “I cannot describe how hungry I am!”.
en A robot on a poster says 'As an AI, I don't sleep', with a clock behind it.
en A phone screen shows a chat in which an assistant writes "I can't view that image" in a grey bubble.
en A man who cannot walk sits in a wheelchair and throws a ball to a dog.
en A greeting card with the word "Sorry" in gold letters lies on a bunch of tulips.
en A laptop shows a Python function: "def load(path):", with two lines of comments below it.
en A recipe card lists flour, sugar, butter, two eggs and a pinch of salt in blue handwriting.
en A blackboard menu offers soup, pasta and apple pie, each with a small drawn emoji beside it.
en A woman holds up a sheet of paper on which the words "Please let me know" are underlined twice.
en A damaged photograph of two sailors, with a tear across the upper right corner.
en An empty picture frame hangs on a blue wall above a sofa.
en A computer screen displays an error message: "File is corrupted and cannot be opened."
en A folder icon and a file icon are side by side on a grey desktop.
en A user of the library returns a book at a counter, while a child waits behind him.
en The task board in the office has three columns of yellow, pink and green notes.
en A guide in a green jacket points at a map while seven tourists listen.
en A teacher writes the instructions for an experiment on a whiteboard.
en A request box stands on the counter of a small library, next to a fern.
en A girl answers the phone in a hallway with striped wallpaper.
en A man with a blindfold cannot see the piñata that swings in front of him.
en No one is on the beach; two deck chairs are folded against a hut.
en A jar with no lid stands on a shelf, next to three jars with red lids.
en We see a boat on a lake, and behind it a row of poplars.
en You can see the skyline across the bay, half hidden by fog.
en A thank you card with a drawing of a bee rests against a vase.
en A "You are here" map of a zoo stands beside a path.
en A gate through which you enter the garden is covered with ivy.
en A blocked road with a detour sign and two orange cones.
en A passport page with a stamp that says "entry denied" in red.
en A keyboard with a worn Enter key and a coffee stain on the space bar.
en A bottle labelled 'No. 5' stands in front of a mirror, its stopper removed.
en Three stickers show a heart, a thumbs-up and a laughing face 😂 on a black laptop.
en The numbers 1 to 12 are arranged in a circle on the face of a clock.
en A row of houses: number 12 is blue, number 14 is yellow, number 16 is white.
en A hand-drawn diagram of the water cycle with arrows from sea to cloud to mountain.
en A caption under the cartoon explains the joke in small italics.
en A description of the statue is engraved on a bronze plate at its base.
en A student raises her hand to answer a question in a crowded classroom.
en A tired runner is unable to stand and is helped by two volunteers.
en A museum label gives the artist's name, the year 1887 and the medium, oil on canvas.
en A phone displays a privacy policy with a green button at the bottom.
en A referee shows a red card; the player shakes his head and does not leave the pitch.
en An access card with a photo of a bearded man hangs from a lanyard.
en A photo album is open at a page with four black-and-white pictures, one of them missing.
en The mirror is broken, and the woman in front of it looks at nine small reflections.
en A sign in a park lists rules: no dogs, no bicycles, no ball games.
en A chalkboard reads: Today's soup is tomato.
en A toy robot with a speech bubble, yellow on blue.
en Hello Kitty lunch box on a pink towel
en Happy children run through a sprinkler on a lawn.
en Good Morning America studio with two hosts at a desk
en Welcome mat in front of a green door
en Ready-made sandwiches in a glass display
en Best Western hotel sign at night
en Hope, a small town in British Columbia, seen from a hill
en A group of friends enjoys a picnic; one of them pours lemonade.
en A man asks a policeman for directions at a crossing.
en The note on the fridge is too small to read.
en Ikea shelf with books, a globe and a lamp
en An old man at a kitchen table tries to thread a needle under a lamp.
en A cake with the number 40 in blue icing
en A poster for "Mamma Mia!" on the side of a bus
en A brass plate with the text 'Dr. K. Hill, dentist' beside a door bell.
en A cardboard box marked "Fragile, this side up" lies upside down.
en A woman in a lab coat analyses samples under a microscope.
en A man describes the route on a map to two cyclists.
en A child draws a picture of a house with red crayons.
en Two open books; the description of a plant is on the left page, its drawing on the right.
en A subtitle at the bottom of the frame reads "I need to check the engine".
en The first image shows a sprout, the second a seedling, the third a flowering plant.
en A meme in which a dog sits in a burning room and says "This is fine".
en A scoreboard reads 21:19, 18:21, 11:11 in yellow digits.
en A tattoo of a semicolon on a wrist
en Bowls of rice, beans, corn, cheese, salsa, lettuce and guacamole on a buffet.
en A collage of nine selfies, each with a different hat.
de Auf einem Schild steht „Leider kann ich heute nicht öffnen“, darunter eine Telefonnummer.
de Ein Mann, der nicht sehen kann, geht mit einem weißen Stock über die Straße.
de Auf dem Bild sieht man drei Kinder, die auf einer Mauer sitzen und Eis essen.
de Eine Sprechblase mit den Worten „Ich weiß es nicht!“ über einem gezeichneten Esel.
de Der Bildschirm zeigt einen leeren Ordner und eine Fehlermeldung in roter Schrift.
de Ein beschädigtes Foto von zwei Soldaten, oben rechts eingerissen.
de Eine Frau hält ihre Katze auf dem Arm, während ihr Mann den Koffer trägt.
de Neben einer Bäckerei steht ein Kiosk, in dem Zeitungen, Blumen und Getränke verkauft werden.
de Ihre Hände liegen auf dem Tisch, ihr Blick geht zum Fenster.
de Niemand sitzt auf der Bank, und auf dem Weg liegt gelbes Laub.
de Ein Lehrer beantwortet die Fragen einer Schulklasse vor einem Skelett.
de Hände einer alten Frau beim Stricken, Nahaufnahme
fr Un panneau indique « Désolé, je ne peux pas ouvrir aujourd'hui » sur une porte vitrée.
fr Un homme aveugle marche avec un chien guide le long d'un canal.
fr On voit trois enfants assis sur un mur, une glace à la main.
fr Une bulle au-dessus d'un chat dit « Je n'ai pas faim ».
fr Un cadre vide est accroché au-dessus d'un canapé rouge.
fr Une photo abîmée de deux marins, déchirée en haut à droite.
fr Une femme lit un livre, et son mari prépare du thé ; leur chien dort sur le tapis.
fr Personne n'est assis sur le banc, et des feuilles jaunes couvrent l'allée.
fr Un écran d'ordinateur affiche un dossier vide et un message d'erreur en rouge.
fr L'enfant ne regarde pas l'appareil, car il joue avec un petit train.
fr Une légende en italique se trouve sous le dessin.
es Un cartel dice «Lo siento, no puedo abrir hoy» en la puerta de una tienda.
es Un hombre ciego camina con un perro guía junto a un canal.
es Se ve a tres niños sentados en un muro comiendo helado.
es Un globo de diálogo con las palabras "No sé nada" sobre un gato dibujado.
es No hay nadie en el banco y el camino está cubierto de hojas amarillas.
es Una foto dañada de dos marineros, rota en la esquina superior derecha.
es Una mujer lee un libro y su marido prepara té; su perro duerme en la alfombra.
es Una pantalla muestra una carpeta vacía y un mensaje de error en letras rojas.
es El niño no mira a la cámara porque juega con un tren pequeño.
es Un hombre vestido de blanco se sienta como un monje en una roca.
it Un cartello dice «Mi dispiace, oggi non posso aprire» sulla porta di un negozio.
it Un uomo cieco cammina con un cane guida lungo un canale.
it Si vedono tre bambini seduti su un muro che mangiano il gelato.
it Un fumetto con le parole "Non so niente" sopra un gatto disegnato.
it Non c'è nessuno sulla panchina e il viale è coperto di foglie gialle.
it Una foto danneggiata di due marinai, strappata in alto a destra.
it Le case sono gialle e i tetti sono rossi; due gatti sono su un muretto.
it Lo schermo mostra una cartella vuota e un messaggio di errore in rosso.
it Una donna legge un libro e suo marito prepara il tè.
it Tre vasi di fiori stanno sul davanzale di una finestra con le persiane verdi.
pt Uma placa diz "Desculpe, hoje não posso abrir" na porta de uma loja.
pt Um homem cego caminha com um cão-guia à beira de um canal.
pt Veem-se três crianças sentadas num muro a comer gelado.
pt Um balão com as palavras “Não sei nada” sobre um gato desenhado.
pt Não há ninguém no banco, e o caminho está coberto de folhas amarelas.
pt Uma foto danificada de dois marinheiros, rasgada no canto superior direito.
pt Uma mulher lê um livro e seu marido prepara chá; sua filha dorme no sofá.
pt A tela mostra uma pasta vazia e uma mensagem de erro em vermelho.
pt A menina não olha para a câmera porque brinca com um trem pequeno.
nl Op een bord staat "Sorry, ik kan vandaag niet open" op een winkeldeur.
nl Een blinde man loopt met een geleidehond langs een gracht.
nl Op de foto zijn drie kinderen te zien die op een muur zitten en ijs eten.
nl Een tekstballon met de woorden "Ik weet het niet" boven een getekende kat.
nl Er zit niemand op de bank en het pad ligt vol gele bladeren.
nl Een beschadigde foto van twee matrozen, rechtsboven gescheurd.
nl Een vrouw leest een boek en haar man zet thee; hun hond slaapt op het kleed.
nl Het scherm toont een lege map en een foutmelding in rode letters.
sv På en skylt står det "Jag kan tyvärr inte öppna i dag" på en butiksdörr.
sv En blind man går med en ledarhund längs en kanal.
sv På bilden syns tre barn som sitter på en mur och äter glass.
sv Ingen sitter på bänken, och gången är täckt av gula löv.
sv Ett skadat fotografi av två sjömän, rivet i övre högra hörnet.
sv En kvinna läser en bok och hennes man kokar te; deras hund sover på mattan.
sv Skärmen visar en tom mapp och ett felmeddelande i rött.
sv Ett glas vatten, en tallrik och en gaffel ligger på ett bord vid fönstret.
da På et skilt står der "Jeg kan desværre ikke åbne i dag" på en butiksdør.
da En blind mand går med en førerhund langs en kanal.
da På billedet ses tre børn, der sidder på en mur og spiser is.
da Ingen sidder på bænken, og stien er dækket af gule blade.
da Et beskadiget foto af to sømænd, revet i øverste højre hjørne.
da En kvinde læser en bog, og hendes mand laver te; deres hund sover på tæppet.
da Skærmen viser en tom mappe og en fejlmeddelelse med røde bogstaver.
no På et skilt står det "Jeg kan dessverre ikke åpne i dag" på en butikkdør.
no En blind mann går med en førerhund langs en kanal.
no På bildet sitter tre barn på en mur og spiser is.
no Ingen sitter på benken, og stien er dekket av gule blader.
no Et skadet fotografi av to sjømenn, revet i øvre høyre hjørne.
no En kvinne leser en bok, og mannen hennes lager te; hunden deres sover på teppet.
no Skjermen viser en tom mappe og en feilmelding i rødt.
fi Kyltissä lukee "Valitettavasti en voi avata tänään" kaupan ovessa.
fi Sokea mies kulkee opaskoiran kanssa kanavan vartta.
fi Kuvassa näkyy kolme lasta, jotka istuvat muurilla ja syövät jäätelöä.
fi Penkillä ei istu kukaan, ja polku on keltaisten lehtien peitossa.
fi Vaurioitunut valokuva kahdesta merimiehestä, repeytynyt oikeasta yläkulmasta.
fi Nainen lukee kirjaa, ja hänen miehensä keittää teetä; pieni koira nukkuu matolla.
fi Näytöllä on tyhjä kansio ja punainen virheilmoitus.
fi Vihreä talo, jonka ikkunoissa on valkoiset puitteet, seisoo mäen päällä.
pl Na drzwiach sklepu wisi kartka „Przepraszam, dziś nie mogę otworzyć”.
pl Niewidomy mężczyzna idzie z psem przewodnikiem wzdłuż kanału.
pl Na zdjęciu widać troje dzieci, które siedzą na murku i jedzą lody.
pl Na ławce nikt nie siedzi, a alejka jest pokryta żółtymi liśćmi.
pl Uszkodzona fotografia dwóch marynarzy, rozdarta w prawym górnym rogu.
pl Kobieta czyta książkę, a jej mąż parzy herbatę; ich pies śpi na dywanie.
pl Ekran pokazuje pusty folder i komunikat o błędzie w czerwonym kolorze.
pl Starszy pan w kapeluszu karmi gołębie, a obok stoi chłopiec z balonem.
cs Na dveřích obchodu visí cedule „Omlouvám se, dnes nemohu otevřít“.
cs Nevidomý muž jde s vodicím psem podél kanálu.
cs Na snímku je vidět trojice dětí, které sedí na zdi a jedí zmrzlinu.
cs Na lavičce nikdo nesedí a cesta je pokrytá žlutým listím.
cs Poškozená fotografie dvou námořníků, natržená v pravém horním rohu.
cs Žena čte knihu a její muž vaří čaj; jejich pes spí na koberci.
cs Obrazovka ukazuje prázdnou složku a červené chybové hlášení.
ro Pe ușa unui magazin scrie „Îmi pare rău, astăzi nu pot deschide”.
ro Un bărbat nevăzător merge cu un câine-ghid de-a lungul unui canal.
ro În imagine se văd trei copii care stau pe un zid și mănâncă înghețată.
ro Nimeni nu stă pe bancă, iar aleea este acoperită de frunze galbene.
ro O fotografie deteriorată cu doi marinari, ruptă în colțul din dreapta sus.
ro O femeie citește o carte, iar soțul ei face ceai; câinele lor doarme pe covor.
ro Ecranul arată un dosar gol și un mesaj de eroare cu litere roșii.
ro Casele sunt galbene, iar acoperișurile sunt roșii; două pisici stau pe un gard.
hu Egy bolt ajtaján „Sajnos ma nem tudok kinyitni” felirat látható.
hu Egy vak férfi vakvezető kutyával sétál a csatorna mentén.
hu A képen három gyerek látható, akik egy falon ülnek és fagylaltot esznek.
hu Senki sem ül a padon, az utat sárga levelek borítják.
hu Két tengerész sérült fényképe, a jobb felső sarkában szakadással.
hu Egy nő könyvet olvas, a férje teát főz, a kutyájuk a szőnyegen alszik.
hu A képernyőn egy üres mappa és egy piros hibaüzenet látszik.
tr Bir dükkânın kapısında "Üzgünüm, bugün açamıyorum" yazan bir levha asılı.
tr Görme engelli bir adam rehber köpekle kanal boyunca yürüyor.
tr Fotoğrafta bir duvarın üstünde oturup dondurma yiyen üç çocuk görülüyor.
tr Bankta kimse oturmuyor, yol sarı yapraklarla kaplı.
tr İki denizcinin sağ üst köşesi yırtık, hasarlı bir fotoğrafı.
tr Bir kadın kitap okuyor, kocası çay yapıyor, köpekleri halının üstünde uyuyor.
tr Ekranda boş bir klasör ve kırmızı bir hata iletisi var.
tr Bir adam öğle yemeğinde yardım isteyen çocuğa ekmek uzatıyor.
id Pada pintu toko tergantung tulisan "Maaf, saya tidak bisa buka hari ini".
id Seorang pria tunanetra berjalan dengan anjing pemandu di tepi kanal.
id Terlihat tiga anak duduk di atas tembok sambil makan es krim.
id Tidak ada orang di bangku itu, dan jalannya tertutup daun kuning.
id Foto rusak dua pelaut, sobek di sudut kanan atas.
id Seorang wanita membaca buku, sementara suaminya membuat teh; anjing mereka tidur di atas karpet.
id Layar menampilkan folder kosong dan pesan kesalahan berwarna merah.
id Rumah kayu di tepi sungai dengan perahu kecil yang ditambatkan pada tiang.
id Pedagang menata buah mangga, pisang, dan pepaya di kiosnya pada pagi hari.
id Gambar ini menunjukkan sebuah jembatan gantung di atas jurang yang berkabut.
vi Trên cửa hàng treo tấm biển "Xin lỗi, hôm nay tôi không thể mở cửa".
vi Một người đàn ông khiếm thị đi cùng chó dẫn đường dọc con kênh.
vi Trong ảnh có ba đứa trẻ ngồi trên bức tường và ăn kem.
vi Không có ai trên ghế băng, lối đi phủ đầy lá vàng.
vi Bức ảnh hư hỏng chụp hai thủy thủ, bị rách ở góc trên bên phải.
vi Hai người bạn ngồi uống trà, một con chó ngủ trên tấm thảm.
vi Màn hình hiển thị một thư mục rỗng và thông báo lỗi màu đỏ.
zh 商店门上挂着一块牌子，写着“抱歉，我今天不能开门”。
zh 一位盲人男子牵着导盲犬沿着运河行走。
zh 画面中可以看到三个孩子坐在墙上吃冰淇淋。
zh 长椅上没有人，小路上铺满了黄叶。
zh 一张破损的两名水手的老照片，右上角有一道裂口。
zh 一名女子在看书，她的丈夫在泡茶，他们的狗睡在地毯上。
zh 电脑屏幕上显示一个空文件夹和一条红色的错误提示。
zh 红色请柬上印着金色的“囍”字，旁边放着一支笔。
ja 店のドアに「申し訳ありませんが、本日は開けません」と書かれた札が掛かっている。
ja 目の見えない男性が盲導犬と運河沿いを歩いている。
ja 塀の上に座ってアイスクリームを食べている三人の子供が写っています。
ja ベンチには誰も座っておらず、道は黄色い落ち葉で覆われている。
ja 二人の水兵を写した古い写真で、右上の角が破れている。
ja 女性が本を読み、夫がお茶を入れ、犬が敷物の上で眠っている。
ja 画面には空のフォルダと赤いエラーメッセージが表示されている。
ja 私服の警官が駅の改札の前に立っている。
ko 가게 문에 "죄송합니다, 오늘은 열 수 없습니다"라고 적힌 팻말이 걸려 있다.
ko 시각장애인 남성이 안내견과 함께 운하를 따라 걷고 있다.
ko 담 위에 앉아 아이스크림을 먹는 세 아이가 보인다.
ko 벤치에는 아무도 앉아 있지 않고 길은 노란 낙엽으로 덮여 있다.
ko 오른쪽 위 모서리가 찢어진 두 선원의 낡은 사진이다.
ko 여자가 책을 읽고 남편이 차를 끓이며 개가 양탄자 위에서 잔다.
ko 화면에 빈 폴더와 빨간 오류 메시지가 표시되어 있습니다.
ru На двери магазина висит табличка «Извините, сегодня я не могу открыть».
ru Слепой мужчина идёт с собакой-поводырём вдоль канала.
ru На снимке видны трое детей, которые сидят на стене и едят мороженое.
ru На скамейке никого нет, дорожка усыпана жёлтыми листьями.
ru Повреждённая фотография двух матросов, надорванная в правом верхнем углу.
ru Женщина читает книгу, её муж заваривает чай, а их собака спит на ковре.
ru На экране пустая папка и красное сообщение об ошибке.
ru Рабочий в каске смотрит на чертёж, а рядом стоит жёлтый экскаватор.
uk На дверях крамниці висить табличка «Вибачте, сьогодні я не можу відчинити».
uk Сліпий чоловік іде із собакою-поводирем уздовж каналу.
uk На знімку видно трьох дітей, які сидять на мурі та їдять морозиво.
uk На лавці нікого немає, доріжка вкрита жовтим листям.
uk Пошкоджена світлина двох матросів, надірвана у верхньому правому куті.
uk Жінка читає книгу, її чоловік заварює чай, а їхній пес спить на килимі.
uk На екрані порожня тека й червоне повідомлення про помилку.
bg На вратата на магазина виси табела „Съжалявам, днес не мога да отворя“.
bg Сляп мъж върви с куче водач покрай канал.
bg На снимката се виждат три деца, които седят на стена и ядат сладолед.
bg На пейката няма никого, а алеята е покрита с жълти листа.
bg Повредена снимка на двама моряци, скъсана в горния десен ъгъл.
bg Жена чете книга, мъжът ѝ прави чай, а кучето им спи на килима.
bg На екрана има празна папка и червено съобщение за грешка.
el Στην πόρτα ενός μαγαζιού γράφει «Λυπάμαι, σήμερα δεν μπορώ να ανοίξω».
el Ένας τυφλός άνδρας περπατά με σκύλο οδηγό δίπλα σε ένα κανάλι.
el Στη φωτογραφία φαίνονται τρία παιδιά που κάθονται σε έναν τοίχο και τρώνε παγωτό.
el Δεν κάθεται κανείς στο παγκάκι και ο δρόμος είναι γεμάτος κίτρινα φύλλα.
el Μια φθαρμένη φωτογραφία δύο ναυτών, σκισμένη στην πάνω δεξιά γωνία.
el Μια γυναίκα διαβάζει ένα βιβλίο, ο άντρας της φτιάχνει τσάι και ο σκύλος τους κοιμάται.
el Η οθόνη δείχνει έναν άδειο φάκελο και ένα κόκκινο μήνυμα σφάλματος.
ar على باب متجر لافتة مكتوب عليها «عذرًا، لا أستطيع أن أفتح اليوم».
ar رجل كفيف يمشي مع كلب مرشد بمحاذاة القناة.
ar تظهر في الصورة ثلاثة أطفال يجلسون على جدار ويأكلون المثلجات.
ar لا أحد يجلس على المقعد، والممر مغطى بأوراق صفراء.
ar صورة قديمة ممزقة لبحارين، والتمزق في الزاوية العليا اليمنى.
ar امرأة تقرأ كتابًا وزوجها يعد الشاي وكلبهما نائم على السجادة.
ar تعرض الشاشة مجلدًا فارغًا ورسالة خطأ باللون الأحمر.
fa روی در مغازه‌ای تابلویی با نوشته «ببخشید، امروز نمی‌توانم باز کنم» آویزان است.
fa مردی نابینا با سگ راهنما در کنار کانال راه می‌رود.
fa در تصویر سه کودک دیده می‌شوند که روی دیوار نشسته‌اند و بستنی می‌خورند.
fa کسی روی نیمکت ننشسته و راه پر از برگ‌های زرد است.
fa عکسی قدیمی از دو ملوان که گوشه بالای سمت راست آن پاره شده است.
fa زنی کتاب می‌خواند، مردی چای دم می‌کند و سگی روی قالی خوابیده است.
fa صفحه نمایش یک پوشه خالی و یک پیام خطای قرمز را نشان می‌دهد.
he על דלת החנות תלוי שלט "סליחה, היום אני לא יכול לפתוח".
he גבר עיוור הולך עם כלב נחייה לאורך התעלה.
he בתמונה נראים שלושה ילדים היושבים על חומה ואוכלים גלידה.
he איש אינו יושב על הספסל, והשביל מכוסה עלים צהובים.
he תצלום ישן וקרוע של שני מלחים, הקרע בפינה הימנית העליונה.
he אישה קוראת ספר, בעלה מכין תה והכלב שלהם ישן על השטיח.
he המסך מציג תיקייה ריקה והודעת שגיאה באדום.
hi दुकान के दरवाज़े पर "क्षमा करें, आज मैं नहीं खोल सकता" लिखी तख्ती टंगी है।
hi एक नेत्रहीन आदमी गाइड कुत्ते के साथ नहर के किनारे चल रहा है।
hi तस्वीर में तीन बच्चे दीवार पर बैठकर आइसक्रीम खा रहे हैं।
hi बेंच पर कोई नहीं बैठा है और रास्ता पीली पत्तियों से ढका है।
hi दो नाविकों की एक फटी पुरानी तस्वीर, जिसका ऊपरी दायाँ कोना टूटा है।
hi एक महिला किताब पढ़ रही है, उसका पति चाय बना रहा है और कुत्ता कालीन पर सो रहा है।
hi स्क्रीन पर एक खाली फ़ोल्डर और लाल रंग का त्रुटि संदेश दिखाई देता है।
th ที่ประตูร้านมีป้ายเขียนว่า "ขออภัย วันนี้ฉันเปิดร้านไม่ได้"
th ชายตาบอดเดินกับสุนัขนำทางริมคลอง
th ในภาพมีเด็กสามคนนั่งอยู่บนกำแพงและกินไอศกรีม
th ไม่มีใครนั่งบนม้านั่ง และทางเดินเต็มไปด้วยใบไม้สีเหลือง
th ภาพถ่ายเก่าของกะลาสีสองคน มุมขวาบนฉีกขาด
th ผู้หญิงผมยาวอ่านหนังสือ ผู้ชายชงชา และสุนัขนอนหลับบนพรม
th หน้าจอแสดงโฟลเดอร์ว่างและข้อความผิดพลาดสีแดง
th คุณยายสวมเสื้อลายดอกนั่งขายผลไม้อยู่หน้าบ้านไม้
en Next to the tram stop, a man sells roasted chestnuts from a cart.
en The question mark on the poster is made of bottle caps.
en A sketch, the wood only hinted at with a few lines
en Therapy room with two armchairs and a box of tissues
en Better Homes magazine on a coffee table
en Here a path leads down to the water.
en A man with his dog
en The answer key lies beside a maths test with three red marks.
en A note that says "Best wishes, Anna" is clipped to a bouquet.
en The description of the exhibit is printed in four languages.
en A model of a ship with three masts stands in a glass case.
en A system of pipes runs along the ceiling of a cellar.
en The content of the drawer is spread on the floor: string, keys, coins.
en A failed cake, sunken in the middle, on a wire rack.
en A tripod without a camera stands on a beach.
de An einer Pinnwand hängt ein leerer Zettel ohne Foto.
de Auf einem Plakat steht die Aufgabe einer Rechenübung, daneben drei Antworten.
de Der Rahmen ohne Bild lehnt an einer Wand, darunter liegt ein Hammer.
de Ein Mitarbeiter am Schalter hilft einer älteren Kundin mit einem Formular.
de Natürliches Licht fällt auf einen Holztisch mit drei Äpfeln.
fr Un employé au guichet aide une cliente à remplir une demande.
fr Un cadre sans photo est posé contre un mur, un marteau à côté.
fr Bon nombre de spectateurs portent une écharpe rouge.
fr La réponse est écrite à la craie sur un tableau noir.
es Un empleado ayuda a una clienta a rellenar una solicitud en la ventanilla.
es Un marco sin foto está apoyado en la pared, junto a un martillo.
es La respuesta está escrita con tiza en una pizarra.
es Claro de luna sobre un lago con dos barcas.
it Un impiegato aiuta una cliente a compilare un modulo allo sportello.
it Una cornice senza foto è appoggiata al muro accanto a un martello.
it Certe case del borgo hanno il tetto di ardesia.
pt Um funcionário ajuda uma cliente a preencher um formulário no balcão.
pt Uma moldura sem foto está encostada à parede, ao lado de um martelo.
pt A resposta está escrita a giz num quadro negro.
nl Een medewerker helpt een klant met een formulier aan de balie.
nl Een lijst zonder foto staat tegen de muur naast een hamer.
nl Zeker tien ballonnen zweven boven een weiland.
sv En anställd hjälper en kund med en blankett vid disken.
sv En ram utan bild står mot väggen bredvid en hammare.
sv Bra väder över en sjö med segelbåtar.
da En ansat hjælper en kunde med en formular ved skranken.
da Klart vand i en bugt med to røde joller.
no En ansatt hjelper en kunde med et skjema ved skranken.
no Klart vann i en bukt med to røde joller.
fi Virkailija auttaa asiakasta täyttämään lomaketta tiskillä.
fi Tyhjä kehys nojaa seinään vasaran vieressä.
pl Urzędnik pomaga klientce wypełnić formularz przy okienku.
pl Dobrze ubrany mężczyzna czeka na peronie z walizką.
cs Úředník pomáhá klientce vyplnit formulář u přepážky.
cs Dobře oblečený muž čeká na nástupišti s kufrem.
ro Un funcționar ajută o clientă să completeze un formular la ghișeu.
ro O ramă fără fotografie stă lângă un ciocan.
hu Egy ügyintéző segít egy ügyfélnek kitölteni egy űrlapot a pultnál.
hu Jól öltözött férfi várakozik a peronon egy bőrönddel.
tr Gişedeki görevli bir müşteriye form doldururken yardım ediyor.
tr Fotoğrafsız bir çerçeve duvara dayalı, yanında bir çekiç var.
id Seorang petugas membantu nasabah mengisi formulir di loket.
id Bingkai tanpa foto bersandar di dinding di samping palu.
vi Nhân viên giúp một khách hàng điền đơn tại quầy.
vi Một khung ảnh trống dựa vào tường cạnh chiếc búa.
zh 柜台的工作人员正在帮助一位顾客填写申请表。
zh 一个没有照片的相框靠在墙上，旁边是一把锤子。
zh 教室的黑板上写着一道题目和三个答案。
ja 窓口の職員が客の申込書の記入を手伝っている。
ja 写真の入っていない額縁が壁に立てかけられている。
ja 他に二人の子供が後ろの席に座っている。
ko 창구 직원이 고객의 신청서 작성을 도와주고 있다.
ko 사진이 없는 액자가 벽에 기대어 있고 옆에 망치가 있다.
ru Сотрудница за стойкой помогает клиенту заполнить бланк.
ru Хорошо одетый мужчина ждёт на перроне с чемоданом.
ru Рамка без фотографии прислонена к стене, рядом молоток.
uk Працівниця за стійкою допомагає клієнтові заповнити бланк.
uk Добре вдягнений чоловік чекає на пероні з валізою.
bg Служителка на гишето помага на клиент да попълни формуляр.
bg Добре облечен мъж чака на перона с куфар.
el Μια υπάλληλος βοηθά έναν πελάτη να συμπληρώσει ένα έντυπο στο γκισέ.
el Μια κορνίζα χωρίς φωτογραφία ακουμπά στον τοίχο δίπλα σε ένα σφυρί.
ar موظفة عند الشباك تساعد زبونًا على ملء استمارة.
ar إطار بلا صورة مسند إلى الجدار بجانب مطرقة.
fa کارمندی پشت پیشخوان به مشتری در پر کردن فرم کمک می‌کند.
fa قابی بدون عکس به دیوار تکیه داده و چکشی کنار آن است.
he פקידה בדלפק עוזרת ללקוח למלא טופס.
he מסגרת בלי תמונה נשענת על הקיר ליד פטיש.
hi काउंटर पर एक कर्मचारी ग्राहक को फ़ॉर्म भरने में मदद कर रही है।
hi बिना तस्वीर का एक फ़्रेम दीवार से टिका है और पास में हथौड़ा है।
th พนักงานที่เคาน์เตอร์กำลังช่วยลูกค้ากรอกแบบฟอร์ม
th กรอบรูปเปล่าพิงอยู่กับกำแพงข้างค้อน
de Auf dem Foto ist kein Gesicht zu erkennen, nur ein Hut und ein Schal.
fr Sur la photo, aucun visage n'est visible, seulement un chapeau.
es En la foto no se ve ningún rostro, solo un sombrero.
it Nella foto non è visibile alcun volto, solo un cappello.
pt Na foto não se vê nenhum rosto, apenas um chapéu.
nl Op de foto is geen gezicht zichtbaar, alleen een hoed.
sv På bilden syns inget ansikte, bara en hatt.
pl Na zdjęciu nie widać żadnej twarzy, tylko kapelusz.
ru На фото не видно лиц, только шляпа на стуле.
tr Fotoğrafta yüz görünmüyor, yalnızca bir şapka var.
ja 写真には顔は写っておらず、帽子だけが見える。
ko 사진에는 얼굴이 보이지 않고 모자만 놓여 있다.
zh 图中没有显示人脸，只能看到一顶帽子。
"""

CAPTIONS = [tuple(line.split(" ", 1)) for line in _CAPTIONS.split("\n") if line]
