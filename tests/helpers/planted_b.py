"""Answers that are no captions, set B: written after the rules that set A led to; see `planted_a` for its form."""

from __future__ import annotations

SCENES = """
en Two kayakers paddle across a green lake below a steep cliff.
de Zwei Kajakfahrer paddeln unterhalb einer steilen Felswand über einen grünen See.
fr Deux kayakistes pagaient sur un lac vert au pied d'une falaise abrupte.
es Dos piragüistas reman por un lago verde al pie de un acantilado.
it Due kayakisti pagaiano su un lago verde ai piedi di una parete ripida.
pt Dois canoístas remam num lago verde junto a um penhasco íngreme.
nl Twee kajakkers peddelen over een groen meer onder een steile rotswand.
sv Två kajakpaddlare glider över en grön sjö nedanför en brant klippa.
da To kajakroere padler over en grøn sø under en stejl klippe.
no To kajakkpadlere glir over en grønn innsjø under en bratt klippe.
fi Kaksi melojaa ylittää vihreän järven jyrkän kallion alla.
pl Dwóch kajakarzy płynie po zielonym jeziorze pod stromym klifem.
cs Dva kajakáři pádlují přes zelené jezero pod strmým útesem.
ro Doi caiaciști vâslesc pe un lac verde sub o stâncă abruptă.
hu Két kajakos evez egy zöld tavon egy meredek sziklafal alatt.
tr İki kayakçı sarp bir kayalığın altında yeşil bir gölde kürek çekiyor.
id Dua pendayung kayak melintasi danau hijau di bawah tebing curam.
vi Hai người chèo thuyền kayak băng qua hồ nước xanh dưới vách đá dựng đứng.
zh 两名皮划艇手在陡峭的悬崖下划过碧绿的湖面。
ja 二人のカヤック乗りが切り立った崖の下の緑の湖を漕いでいる。
ko 두 명의 카약 선수가 가파른 절벽 아래 초록빛 호수를 건너고 있다.
ru Два байдарочника плывут по зелёному озеру под отвесной скалой.
uk Двоє байдарочників пливуть зеленим озером під стрімкою скелею.
bg Двама каякари гребат по зелено езеро под стръмна скала.
el Δύο κωπηλάτες διασχίζουν με καγιάκ μια πράσινη λίμνη κάτω από έναν απότομο βράχο.
ar رجلان يجدفان بقاربي كاياك في بحيرة خضراء تحت جرف شديد الانحدار.
fa دو کایاک‌سوار زیر صخره‌ای بلند در دریاچه‌ای سبز پارو می‌زنند.
he שני חותרי קיאק חוצים אגם ירוק מתחת לצוק תלול.
hi दो कयाकर एक खड़ी चट्टान के नीचे हरी झील में नाव चला रहे हैं।
th นักพายเรือคายัคสองคนพายข้ามทะเลสาบสีเขียวใต้หน้าผาสูงชัน
"""

REFUSALS = """
en Oops, looks like nothing is attached here.
en Identifying people from their faces isn't something this service does.
en Afraid that's not in my wheelhouse.
en ERROR 415: media type not supported.
en [Response blocked]
en Input image could not be decoded.
en Pictures are beyond a text-only system such as myself.
en Out of respect for privacy, no description will be given.
en We're sorry, something went wrong on our side.
en Content warning: this picture cannot be shown or described.
en There's no way to tell what this photo depicts without access to it.
en As a large language model trained by a research lab, vision is not among my skills.
en This falls under sensitive material, hence no caption.
en Would need to see the picture first.
en The model declined to produce a caption.
en A description is unavailable for this image.
de Tut mir leid, da muss ich passen.
de Leider liegt mir keine Bilddatei vor.
de Zu realen Personen gebe ich keine Auskünfte.
de Die Anfrage wurde aus Sicherheitsgründen abgelehnt.
fr Navré, cette image m'est inaccessible.
fr Le contenu demandé est contraire à la politique d'utilisation.
fr Rien n'a été joint à la conversation.
es Me temo que no hay ninguna foto que describir.
es La solicitud fue bloqueada por el filtro de contenido.
es Ese tipo de imágenes no se puede comentar.
it Temo di non poter accontentare questa richiesta.
it La richiesta è stata bloccata dai filtri di sicurezza.
pt Receio que isso não seja possível.
pt O pedido foi bloqueado pelo filtro de conteúdo.
nl Ik vrees dat dit niet gaat lukken.
nl Het verzoek is geblokkeerd door het filter.
sv Det går tyvärr inte att visa eller beskriva bilden.
sv Jag är bara en språkmodell och saknar ögon.
da Det er desværre ikke muligt at beskrive billedet.
da Anmodningen blev afvist.
no Bildet lar seg dessverre ikke åpne.
no Forespørselen ble avvist av filteret.
fi Kuvan kuvaileminen ei valitettavasti onnistu.
fi Pyyntö hylättiin turvallisuussyistä.
pl Opis tego zdjęcia jest niemożliwy.
pl Żądanie zostało odrzucone przez filtr treści.
cs Popis tohoto obrázku bohužel není možný.
cs Požadavek byl zamítnut filtrem obsahu.
ro Nu s-a primit nicio imagine.
ro Cererea a fost respinsă din motive de siguranță.
hu A kép leírása sajnos nem lehetséges.
hu A kérést a tartalomszűrő elutasította.
tr Herhangi bir fotoğraf alınamadı.
tr İstek güvenlik nedeniyle reddedildi.
id Gambarnya tidak bisa ditampilkan.
id Permintaan ditolak karena alasan keamanan.
vi Không nhận được hình ảnh nào.
vi Yêu cầu đã bị từ chối vì lý do an toàn.
zh 暂时没办法解读这张照片呢。
zh 请求被安全策略拦截。
zh 我这边没有看到任何图像。
ja あいにく画像を確認できませんでした。
ja 安全上の理由によりリクエストは拒否されました。
ja お答えできかねる内容です。
ko 아쉽게도 사진을 확인할 수가 없네요.
ko 안전상의 이유로 요청이 거부되었습니다.
ru Увы, тут я бессилен.
ru Запрос отклонён фильтром содержимого.
ru Никакого изображения ко мне не поступило.
uk На превеликий жаль, картинки немає.
uk Запит відхилено фільтром вмісту.
bg Описанието на тази снимка не е възможно.
bg Заявката беше отхвърлена от филтъра.
el Η περιγραφή της εικόνας δεν είναι εφικτή.
el Το αίτημα απορρίφθηκε από το φίλτρο.
ar لم أستلم أي صورة.
ar تم رفض الطلب لأسباب تتعلق بالسلامة.
fa هیچ تصویری به دستم نرسید.
fa درخواست به دلایل ایمنی رد شد.
he לא הגיעה אליי שום תמונה.
he הבקשה נדחתה מטעמי בטיחות.
hi मेरे पास कोई चित्र नहीं पहुँचा।
hi अनुरोध सुरक्षा कारणों से अस्वीकृत हुआ।
th ระบบไม่พบรูปภาพใด ๆ
th คำขอถูกปฏิเสธด้วยเหตุผลด้านความปลอดภัย
"""

THOUGHTS = """
en What stands out most? The lake. §
en Hmm. Kayaks or canoes? Kayaks, given the double blades. §
en Focus: the two paddlers. Skip the sky. §
en Since guesses are forbidden, feelings stay out. §
en Aim for roughly twenty words. §
en The output format is plain text, nothing else. §
en § That reads well. Length is fine.
en Best to begin with the people. §
en Ok so two kayaks, one lake, one cliff. §
en It's important not to mention the season here. §
en Counting people: one, two. So two. §
en Now writing the final caption. §
en Subject identified: kayakers. Writing it up. §
en A concise caption is what's needed. §
en I'd say this is a lake rather than a river. §
de Der Prompt will nur einen Satz, also kurz halten. §
de Was fällt auf? Der See ist grün. §
de Ich überlege, ob es ein See oder ein Fluss ist. §
fr Il faut éviter les suppositions, donc restons factuels. §
fr L'énoncé impose de rester neutre. §
fr Je commence par le lac. §
es Hay que ser breve y no inventar nada. §
es A ver, dos personas y un lago. §
es El usuario espera una sola oración. §
it L'utente si aspetta una frase sola. §
it Bisogna essere brevi e non inventare. §
pt O usuário espera uma única frase. §
pt É preciso ser breve e não inventar nada. §
nl De gebruiker verwacht één zin. §
nl Ik begin met het meer. §
sv Användaren förväntar sig en enda mening. §
sv Jag börjar med sjön. §
da Brugeren forventer en enkelt sætning. §
no Brukeren forventer én setning. §
fi Käyttäjä odottaa yhtä virkettä. §
fi Aloitan järvestä. §
pl Użytkownik oczekuje jednego zdania. §
pl Najpierw opiszę jezioro. §
cs Uživatel očekává jedinou větu. §
cs Nejprve popíšu jezero. §
ro Utilizatorul așteaptă o singură propoziție. §
hu A felhasználó egyetlen mondatot vár. §
hu Először a tavat írom le. §
tr Kullanıcı tek bir cümle bekliyor. §
id Pengguna mengharapkan satu kalimat saja. §
vi Người dùng mong đợi một câu duy nhất. §
vi Trước tiên tôi nhìn vào mặt hồ. §
zh 用户期望得到一句话。§
zh 嗯，先确定主体，再写背景。§
ja ユーザーは一文だけを期待している。§
ja うーん、湖から書き始めよう。§
ko 사용자는 한 문장만 기대하고 있다. §
ko 음, 호수부터 써 보자. §
ru Пользователь ожидает одно предложение. §
ru Начну с озера. §
uk Користувач очікує одне речення. §
bg Потребителят очаква едно изречение. §
el Ο χρήστης περιμένει μία πρόταση. §
ar ينتظر المستخدم جملة واحدة. §
ar سأبدأ بالبحيرة. §
fa کاربر انتظار یک جمله را دارد. §
he המשתמש מצפה למשפט אחד. §
hi उपयोगकर्ता एक ही वाक्य की अपेक्षा करता है। §
th ผู้ใช้คาดหวังเพียงประโยคเดียว §
"""

TALK = """
en § Need it shorter? Say the word.
en § Glad I could help!
en § That's all from me.
en § Over to you.
en § (Generated automatically; may contain mistakes.)
en § Word total: 11.
en § Please double-check the details.
en Yes! §
en Below is my take. §
en Done. §
en Great question! §
en Certainly — one caption coming up. §
en I've looked at it carefully. §
en Nice shot! §
en § Let me know whether to localise it.
en § This description should help screen reader users.
de § Sag Bescheid, wenn es kürzer sein soll.
de Alles klar, hier das Ergebnis: §
de § Bei Rückfragen stehe ich zur Verfügung.
de Schönes Foto! §
fr § Cela vous convient-il ?
fr D'accord, la voici : §
fr § J'espère que ça ira.
fr Très belle photo ! §
es § ¡Espero que te sirva!
es Perfecto, ahí va: §
es § Si hace falta, la acorto.
it § Va bene così?
it Perfetto, eccola: §
it Bella foto! §
pt § Espero ter ajudado.
pt Perfeito, lá vai: §
pt § Se quiser, encurto o texto.
nl § Laat maar weten of dit zo goed is.
nl Prima, komt eraan: §
sv § Säg bara till om den ska kortas.
sv Okej, här kommer den: §
da § Giv endelig besked, hvis den skal kortes.
da Fint billede! §
no § Gi beskjed om den skal kortes ned.
no Flott bilde! §
fi § Ilmoita, jos tekstiä pitää lyhentää.
fi Selvä, tässä se on: §
pl § W razie pytań jestem do dyspozycji.
pl Jasne, proszę bardzo: §
cs § V případě dotazů jsem k dispozici.
cs Krásná fotka! §
ro § Sper că este de folos.
ro Frumoasă fotografie! §
hu § Ha rövidebb kell, szóljon.
hu Rendben, tessék: §
tr § Daha kısa olsun derseniz söyleyin.
tr Harika bir fotoğraf! §
id § Semoga bermanfaat.
id Foto yang bagus! §
vi § Mong là nó hữu ích.
vi Ảnh đẹp quá! §
zh § 有问题随时找我哦。
zh 好嘞，描述如下：§
zh 这张照片真美！§
ja § ご参考になれば幸いです。
ja 素敵な写真ですね。§
ko § 수정이 필요하면 말씀해 주세요.
ko 멋진 사진이네요! §
ru § Если нужно короче, скажите.
ru Отличный снимок! §
uk § Якщо треба коротше, скажіть.
uk Чудовий знімок! §
bg § Ако трябва да е по-кратко, кажете.
el § Αν το θέλετε πιο σύντομο, πείτε το.
ar § أرجو أن يكون هذا مفيدًا.
ar صورة جميلة! §
fa § امیدوارم مفید باشد.
fa عکس قشنگی است! §
he § מקווה שזה עוזר.
he תמונה יפה! §
hi § उम्मीद है यह उपयोगी होगा।
hi बहुत सुंदर तस्वीर! §
th § หวังว่าจะเป็นประโยชน์
th ภาพสวยมาก! §
"""

DATA = """
en lake;kayak;cliff⏎2;2;1⏎green;red;grey
en name=lake colour=green⏎name=kayak colour=red
en "scene": "lake", "people": 2
en {'objects': ['kayak', 'lake'], 'count': 2}
en [{"name": "kayak"}, {"name": "cliff"}]
en {lake, kayak, cliff, paddle}
en - kayak: red⏎- lake: green
en * kayaks⏎* lake⏎* cliff
en + kayak⏎+ lake⏎+ cliff
en 1) kayaks 2) lake 3) cliff
en i. kayaks ii. lake iii. cliff
en Scene=lake|People=2|Colour=green
en SUBJECT: kayakers / PLACE: lake / TIME: day
en Lake (green), kayak (red), cliff (grey), paddle (black)
en kayak: 95%, lake: 90%, cliff: 70%
en kayak 0.95 lake 0.90 cliff 0.70
en <kayak x="12" y="40"/><lake/>
en <objects><o>kayak</o><o>lake</o></objects>
en var caption = "Two kayakers";
en caption: str = "Two kayakers on a lake"
en let scene = new Scene("lake");
en console.log("Two kayakers");
en echo "Two kayakers on a lake"
en return {"caption": "Two kayakers"}
en if people == 2: print("kayakers")
en for kayak in lake: count += 1
en for (int i = 0; i < 2; i++) { paddle(); }
en body { color: green; }
en ![kayak](kayak.jpg)
en | thing | colour |⏎|---|---|⏎| lake | green |
en people: 2, boats: 2, lakes: 1
en people=2, boats=2, lakes=1
en 2 kayaks, 1 lake, 1 cliff, 2 paddles, 2 people
en #kayak #lake #cliff
en kayak/lake/cliff/paddle/water/rock
en kayak - lake - cliff - paddle - water - rock
en outdoor, water, lake, kayak, people, sport, summer, nature, landscape
en two people, green lake, red kayaks, steep cliff, calm water, summer day
en [kayak, lake, cliff]
en Objects: kayak, lake, cliff.
en Colors: green, grey, red.
en subject: kayakers⏎place: lake⏎light: soft
de See: grün, Kajak: rot, Felswand: grau
de 1. Kajak 2. See 3. Felswand
fr Lieu : lac ; Sport : kayak ; Couleur : vert
es lago, kayak, acantilado, agua, remo, roca, verano
it Luogo: lago | Sport: kayak | Colore: verde
pt lago, caiaque, penhasco, água, remo, rocha, verão
nl Plaats: meer. Sport: kajak. Kleur: groen.
sv sjö, kajak, klippa, vatten, paddel, berg, sommar
pl jezioro, kajak, klif, woda, wiosło, skała, lato
cs Místo: jezero. Sport: kajak. Barva: zelená.
tr Yer: göl. Spor: kano. Renk: yeşil.
vi Địa điểm: hồ. Môn: chèo thuyền. Màu: xanh.
zh 地点：湖；运动：皮划艇；颜色：绿色
zh 湖，皮划艇，悬崖，水，桨，岩石，夏天
ja 場所：湖、競技：カヤック、色：緑
ko 장소: 호수 / 종목: 카약 / 색: 초록
ru озеро, байдарка, скала, вода, весло, лето, гора
uk Місце: озеро. Спорт: байдарка. Колір: зелений.
el λίμνη, καγιάκ, βράχος, νερό, κουπί, βουνό, καλοκαίρι
ar المكان: بحيرة، الرياضة: كاياك، اللون: أخضر
fa مکان: دریاچه، ورزش: کایاک، رنگ: سبز
he אגם, קיאק, צוק, מים, משוט, סלע, קיץ
hi स्थान: झील, खेल: कयाक, रंग: हरा
th ทะเลสาบ, เรือคายัค, หน้าผา, น้ำ, ไม้พาย, หิน, ฤดูร้อน
"""

LOOPS = """
en § * * * * * * * * * * * * * * * * * * * *
en § #####################################
en § 12 12 12 12 12 12 12 12 12 12 12 12 12 12 12
en § 1 1 2 1 1 2 1 1 2 1 1 2 1 1 2 1 1 2 1 1 2 1 1 2 1 1 2
en § 00:00:00:00:00:00:00:00:00:00:00:00
en § 100000000000000000000000000000000000000
en § 55555 55555 55555 55555 55555 55555 55555 55555 55555
en § 🌊🌊🌊🌊🌊🌊🌊🌊
en § 🛶🌲🛶🌲🛶🌲🛶🌲🛶🌲🛶🌲
en § 😂 😂 😂 😂 😂 😂 😂 😂 😂
en § 👍🏽👍🏽👍🏽👍🏽👍🏽👍🏽👍🏽👍🏽
en § <><><><><><><><><><><><><><><><>
en § ^_^ ^_^ ^_^ ^_^ ^_^ ^_^ ^_^ ^_^ ^_^
en § :) :) :) :) :) :) :) :) :) :) :) :) :)
en § •••••••••••••••••••••••••••••••
en § ………………………………
en § ————————————————————————
en § ////////////////////////////////////////
en § %20%20%20%20%20%20%20%20%20%20%20%20%20
en § \\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n
en § [][][][][][][][][][][][][][][][][]
en § {{{{{{{{{{{{{{{{{{{{{{{{{{{{{{
en § 10 20 30 40 50 60 70 80 90 100 110 120 130 140 150 160 170 180 190 200 210 220 230 240 250 260 270 280
en § 100 99 98 97 96 95 94 93 92 91 90 89 88 87 86 85 84 83 82 81 80 79 78 77 76 75 74 73
en § the the the the the the the the the
en § on the lake on the lake on the lake on the lake on the lake
en § a kayak, a kayak, a kayak, a kayak, a kayak, a kayak, a kayak
en § green green lake green green lake green green lake green green lake green green lake
en § oooooooooooooooooooooooooooooooooooo
en § ABABABABABABABABABABABABABABABABABAB
en § no no no no no no no no no no no no
en § There is a kayak. There is a kayak. There is a kayak. There is a kayak. There is a kayak.
en § I I I I I I I I I I I I I I
de § sehr sehr sehr sehr sehr sehr sehr sehr sehr grün
de § der See der See der See der See der See der See
fr § et et et et et et et et et et et et
es § el lago, el lago, el lago, el lago, el lago, el lago
it § blu blu blu blu blu blu blu blu blu blu
pt § e o lago e o lago e o lago e o lago e o lago e o lago
pl § woda woda woda woda woda woda woda woda woda
tr § ve ve ve ve ve ve ve ve ve ve ve
ru § озеро озеро озеро озеро озеро озеро озеро озеро
zh § 湖面湖面湖面湖面湖面湖面湖面湖面湖面湖面
zh § 。。。。。。。。。。。。。。。。。。。。
ja § 緑緑緑緑緑緑緑緑緑緑緑緑緑緑緑緑
ja § とてもとてもとてもとてもとてもとてもとてもとても
ko § 호수 호수 호수 호수 호수 호수 호수 호수 호수
ar § بحيرة بحيرة بحيرة بحيرة بحيرة بحيرة بحيرة بحيرة
fa § سبز سبز سبز سبز سبز سبز سبز سبز سبز
he § אגם אגם אגם אגם אגם אגם אגם אגם אגם
hi § झील झील झील झील झील झील झील झील झील
th § น้ำน้ำน้ำน้ำน้ำน้ำน้ำน้ำน้ำน้ำน้ำน้ำน้ำน้ำ
"""

CUT = """
en § The water below them is so clear that
en § A third kayak, painted
en Two kayakers paddle past
en Two kayakers paddle across a
en Two kayakers, one of whom
en Two kayakers in red helmets and
en Two kayakers in matching
en Two kayakers with their paddles raised, as if
en Two kayakers glide beneath
en A lake surrounded by
en A green lake whose
en A cliff that rises above the
en The cliff is covered with
en On the left side of the
en A kayak is tied to
en A kayaker wearing a red helmet and a
en Two kayaks, a red one and a
en A lake with several
en A lake in the middle of
en A kayaker holds a paddle in his
en The text on the kayak says "Lake
en A kayak (red,
en A kayak, a cliff, a lake, and
en A kayak and its
en The kayakers are
en The kayaks have been
en There is a
en There are
en In the background, there is
en The image shows a man who
en A close-up of the
en A view from
en A photograph of two kayakers who seem to
en Two kayakers paddle across a lake where the
en Two kayakers paddle across a lake, leaving
de Zwei Kajakfahrer auf einem
de Zwei Kajakfahrer paddeln über einen See, während
de § Im Hintergrund ist
fr Deux kayakistes sur un lac dont
fr Deux kayakistes avec leurs
fr § Au fond, on voit une
es Dos piragüistas con sus
es § Al fondo se ve un
it Due kayakisti su un
it Un lago circondato da
pt Dois canoístas num
pt Um lago cercado por
nl Twee kajakkers op een
nl Een meer waarvan
sv Två kajakpaddlare på en
sv En sjö som är
da To kajakroere på en
no To kajakkpadlere på en
fi Kaksi melojaa, joista
pl Dwóch kajakarzy na
pl Jezioro otoczone przez
cs Dva kajakáři na
ro Doi caiaciști pe un
ro Un lac înconjurat de
hu Két kajakos egy
tr İki kayakçı ve
id Dua pendayung kayak di
id Danau hijau dengan
vi Hai người chèo thuyền trên
vi Một hồ nước xanh và
zh 两名皮划艇手在
zh 一个被群山环绕的
zh §远处是一座
ja 二人のカヤック乗りが緑の
ja §奥には
ko 두 명의 카약 선수가 호수를
ru Два байдарочника на
ru Озеро, окружённое
uk Двоє байдарочників на
uk Озеро, яке
bg Двама каякари на
bg Езеро, което
el Δύο κωπηλάτες σε
el Μια λίμνη με
ar رجلان يجدفان في
ar بحيرة خضراء تحيط بها
fa دو کایاک‌سوار در
he שני חותרי קיאק על
hi दो कयाकर एक
th นักพายเรือคายัคสองคนใน
"""

TOKENS = """
en §<|return|>
en §<|call|>
en <|start|>assistant<|channel|>analysis<|message|>§
en §<|im_sep|>
en §<|diff_marker|>
en §<|end_of_role|>
en <|start_of_role|>assistant<|end_of_role|>§
en §<|user|>
en §<|observation|>
en <|begin_of_box|>§<|end_of_box|>
en §<|media_end|>
en <|media_begin|>image<|media_content|><|media_pad|><|media_end|>§
en §<turn_end>
en §<end_of_image>
en §<image_placeholder>
en §<|grounding|>
en §<|ref|>kayak<|/ref|><|det|>[[1,2,3,4]]<|/det|>
en <|object_ref_start|>kayak<|object_ref_end|>§
en §<quad>
en §<point x="12.3" y="40.1" alt="kayak">kayak</point>
en §<seg099>
en §<vis_start>
en <visual_token>§
en §[IMG_END]
en §[BEGIN_OF_TEXT]
en §[ASSISTANT]
en [BOS] §
en §<BOT>
en §<EOT>
en §<assistant>
en <s>[INST] §
en §[/ASST]
en §<<SYS>>
en §</SYS>
en §<unk><unk>
en §<mask>
en §<mask_2>
en §<sentinel_12>
en §<extra_id_42>
en §<token_512>
en §<special_42>
en §<commit_msg>
en §<repo_name>lake
en §<file_sep>
en §<|code|>
en <observation>§</observation>
en <solution>§</solution>
en <final>§
en <summary>two kayakers</summary>§
en <scratch>lake</scratch> §
en §<audio_eos>
en §<speech_end>
en ###Response: §
en §⏎### Instruction: next
en §⏎Assistant: §
en §⏎Q: next picture
en Human: describe §
en §|im_end|>
en §<|
en <im_start>assistant §
en §<ctrl42>
en §<｜User｜>
en ▁Two ▁kayakers ▁paddle ▁across ▁a ▁lake
en TwoĠkayakersĠpaddleĠacrossĠaĠlake.
en Two</w> kayakers</w> paddle</w> across</w> a</w> lake</w>
en Two kay ##ake ##rs paddle across a lake
zh §<|endoftext|>
ja §</s>
ko §<end_of_turn>
ru §<|im_end|>
ar §<|eot_id|>
th §<eos>
"""

KINDS = {
    "refusals": REFUSALS,
    "thoughts": THOUGHTS,
    "talk": TALK,
    "data": DATA,
    "loops": LOOPS,
    "cut": CUT,
    "tokens": TOKENS,
}
