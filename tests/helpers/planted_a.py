"""Answers that are no captions, set A: each line is a language and a text; § is the language's scene, ⏎ a line end."""

from __future__ import annotations

SCENES = """
en An orange tram stops in front of a bakery, and a woman with a pram gets on.
de Eine orangefarbene Straßenbahn hält vor einer Bäckerei, und eine Frau mit Kinderwagen steigt ein.
fr Un tramway orange s'arrête devant une boulangerie, et une femme avec une poussette y monte.
es Un tranvía naranja se detiene ante una panadería y una mujer con un cochecito sube.
it Un tram arancione si ferma davanti a un panificio e una donna con un passeggino sale.
pt Um elétrico laranja para em frente a uma padaria e uma mulher com um carrinho entra.
nl Een oranje tram stopt voor een bakkerij en een vrouw met een kinderwagen stapt in.
sv En orange spårvagn stannar framför ett bageri och en kvinna med barnvagn stiger på.
da En orange sporvogn holder foran et bageri, og en kvinde med barnevogn stiger på.
no En oransje trikk stopper foran et bakeri, og en kvinne med barnevogn går på.
fi Oranssi raitiovaunu pysähtyy leipomon eteen, ja nainen nousee kyytiin lastenvaunujen kanssa.
pl Pomarańczowy tramwaj zatrzymuje się przed piekarnią, a kobieta z wózkiem wsiada.
cs Oranžová tramvaj zastavuje před pekárnou a žena s kočárkem nastupuje.
ro Un tramvai portocaliu se oprește în fața unei brutării, iar o femeie cu un cărucior urcă.
hu Egy narancssárga villamos megáll egy pékség előtt, és egy babakocsis nő felszáll.
tr Turuncu bir tramvay fırının önünde duruyor ve bebek arabalı bir kadın biniyor.
id Sebuah trem oranye berhenti di depan toko roti, dan seorang wanita dengan kereta bayi naik.
vi Một chiếc tàu điện màu cam dừng trước tiệm bánh, và một phụ nữ đẩy xe nôi bước lên.
zh 一辆橙色的有轨电车停在面包店前，一位推着婴儿车的女子正在上车。
ja オレンジ色の路面電車がパン屋の前に止まり、ベビーカーを押す女性が乗り込んでいる。
ko 주황색 전차가 빵집 앞에 멈추고 유모차를 끄는 여자가 올라탄다.
ru Оранжевый трамвай останавливается у пекарни, и женщина с коляской входит в него.
uk Помаранчевий трамвай зупиняється біля пекарні, і жінка з візочком заходить до нього.
bg Оранжев трамвай спира пред пекарна и жена с количка се качва.
el Ένα πορτοκαλί τραμ σταματά μπροστά σε έναν φούρνο και μια γυναίκα με καρότσι ανεβαίνει.
ar يتوقف ترام برتقالي أمام مخبز وتصعد إليه امرأة معها عربة أطفال.
fa یک تراموای نارنجی جلوی نانوایی می‌ایستد و زنی با کالسکه سوار می‌شود.
he חשמלית כתומה עוצרת מול מאפייה ואישה עם עגלה עולה עליה.
hi एक नारंगी ट्राम बेकरी के सामने रुकती है और बच्चागाड़ी वाली एक महिला उसमें चढ़ती है।
th รถรางสีส้มจอดหน้าร้านเบเกอรี่ และผู้หญิงที่เข็นรถเด็กกำลังขึ้นรถ
"""

REFUSALS = """
en Describing individuals in detail is off the table for me.
en This one I have to leave alone; it depicts graphic injuries.
en Whatever you attached did not make it to my side.
en My visual module is disabled in this conversation.
en No can do. The picture shows private documents.
en The content filter stopped this response.
en Image analysis isn't supported by this model.
en It isn't possible for this assistant to interpret photographs.
en Only a grey placeholder reached me, so there's nothing to report.
en The link has expired and the photo can't be retrieved.
en Responding to that would go against how I was designed.
en I'd be guessing if I described it, so I'll pass.
en A caption could not be generated for the given input.
en Describing minors in swimwear is not permitted under the policy.
en Request rejected: sensitive content detected.
en Without seeing the photo there is no way for me to caption it.
en You may want to try another picture, because this one is unreadable.
en The resolution is far too low to make out what is depicted.
de Dazu kann ich leider nichts sagen.
de Die Datei ist beschädigt und lässt sich nicht öffnen.
de Für dieses Foto ist keine Beschreibung möglich.
de Bilder auszuwerten gehört nicht zu meinen Fähigkeiten.
fr Cette photo ne peut pas être décrite pour des raisons de confidentialité.
fr Le fichier semble corrompu, impossible de l'ouvrir.
fr Ma réponse serait contraire à mes consignes.
es Esa tarea queda fuera de mis capacidades.
es El archivo está dañado y no se puede abrir.
es No dispongo de visión, solo trabajo con texto.
it Il file è danneggiato e non si apre.
it Descrivere persone reali va oltre ciò che mi è permesso.
pt O ficheiro está corrompido e não abre.
pt Isso está fora do meu alcance, trabalho apenas com texto.
nl Daar kan ik helaas niets over zeggen.
nl Het bestand is beschadigd en gaat niet open.
sv Filen är skadad och går inte att öppna.
sv Det ligger utanför vad jag klarar av.
da Filen er beskadiget og kan ikke åbnes.
da Jeg er kun en tekstmodel og har ingen øjne.
no Filen er skadet og kan ikke åpnes.
no Dette bryter med retningslinjene mine.
fi Tiedosto on vioittunut eikä sitä voi avata.
fi Olen pelkkä tekstimalli, joten kuvat eivät avaudu minulle.
pl Plik jest uszkodzony i nie da się go otworzyć.
pl Opisywanie tej osoby naruszałoby moje zasady.
cs Soubor je poškozený a nelze jej otevřít.
cs Tohle je mimo mé možnosti.
ro Fișierul este deteriorat și nu se deschide.
ro Nu sunt în măsură să ofer o descriere.
hu A fájl sérült, nem nyitható meg.
hu Ez meghaladja a képességeimet.
tr Dosya bozuk olduğu için açılmıyor.
tr Bu isteği yerine getirmem mümkün değil.
id Berkasnya rusak dan tidak bisa dibuka.
id Permintaan ini berada di luar kemampuan saya.
vi Tệp bị hỏng nên không mở được.
vi Yêu cầu này nằm ngoài khả năng của tôi.
zh 文件已损坏，打不开。
zh 恕我不能对此图作出描述。
zh 该内容不符合安全规范，已停止生成。
ja ファイルが壊れていて開けません。
ja ご要望にはお応えしかねます。
ko 파일이 손상되어 열리지 않습니다.
ko 저는 텍스트만 처리할 수 있습니다.
ru Файл повреждён и не открывается.
ru Это выходит за рамки моих возможностей.
uk Файл пошкоджено, його не вдається відкрити.
uk Опис цієї особи суперечив би моїм правилам.
bg Файлът е повреден и не се отваря.
bg Това е извън възможностите ми.
el Το αρχείο είναι κατεστραμμένο και δεν ανοίγει.
el Αυτό ξεπερνά τις δυνατότητές μου.
ar الملف تالف ولا يمكن فتحه.
ar هذا الطلب خارج نطاق قدراتي.
fa فایل خراب است و باز نمی‌شود.
fa این درخواست خارج از توان من است.
he הקובץ פגום ואינו נפתח.
he זה מעבר ליכולות שלי.
hi फ़ाइल खराब है और खुल नहीं रही।
hi यह मेरी क्षमता से बाहर है।
th ไฟล์เสียหายและเปิดไม่ได้
th คำขอนี้เกินความสามารถของฉัน
"""

THOUGHTS = """
en Right, what do we have here? §
en The requirements say one sentence, no guesses. §
en Plan: subject, setting, light. §
en § Hmm, maybe the pram is blue. Checking once more.
en Breaking the picture down: foreground, middle, background. §
en My first impression is a city street. §
en So a good caption would mention the tram and the bakery. §
en The caption should be under 30 words. §
en Draft 1: A tram. Draft 2: §
en They want no markdown, so plain prose it is. §
en Given the instructions, the answer must be a single paragraph. §
en Key elements to cover: tram, bakery, woman. §
en Not sure whether it is a bakery or a café. Going with bakery. §
en To answer this, one has to look at the tram first. §
de Also, was ist zu sehen? §
de Gut, dann fange ich mit der Straßenbahn an. §
de Die Aufgabe verlangt einen einzigen Absatz. §
de Überlegen wir kurz, was wichtig ist. §
fr Voyons ce que montre l'image. §
fr La consigne demande une seule phrase. §
fr Réfléchissons : le tramway est le sujet principal. §
es Veamos qué aparece en la foto. §
es La tarea pide un solo párrafo. §
es Pienso que lo principal es el tranvía. §
it Vediamo cosa c'è nella foto. §
it Il compito richiede un solo paragrafo. §
pt Vejamos o que há na foto. §
pt A tarefa pede um único parágrafo. §
nl Eens kijken wat er te zien is. §
nl De opdracht vraagt om één alinea. §
sv Låt mig se vad bilden visar. §
sv Uppgiften kräver ett enda stycke. §
da Lad mig se, hvad billedet viser. §
no La meg se hva bildet viser. §
fi Katsotaanpa, mitä kuvassa on. §
pl Zastanówmy się, co jest najważniejsze. §
cs Podívejme se, co je na snímku. §
ro Să vedem ce apare în fotografie. §
hu Nézzük, mi látható a képen. §
tr Önce görselde ne olduğuna bakalım. §
id Mari kita lihat apa yang ada di foto. §
vi Hãy xem trong ảnh có gì. §
zh 让我想想，画面的主体应该是电车。§
zh 任务要求只写一段话。§
ja まず画像を見てみましょう。§
ja 指示では一段落で書く必要がある。§
ko 먼저 사진을 살펴보겠습니다. §
ru Так, посмотрим, что на снимке. §
ru По заданию нужен один абзац. §
uk Отже, подивимося, що на знімку. §
bg Да видим какво има на снимката. §
el Ας δούμε τι δείχνει η εικόνα. §
ar لنرَ ما الذي تظهره الصورة. §
fa بگذار ببینم در عکس چه هست. §
he בוא נראה מה יש בתמונה. §
hi चलिए देखते हैं कि तस्वीर में क्या है। §
th มาดูกันว่าในภาพมีอะไร §
"""

TALK = """
en § Anything to add? Just shout.
en § Happy to tweak the tone!
en § Enjoy your day!
en § Let's hope that's what you had in mind.
en § Ready for the next picture whenever you are.
en § The above should work well as alt text.
en § This ought to fit your catalogue nicely.
en As requested, one paragraph: §
en Here goes! §
en No worries, here's your text. §
en § [End of caption]
en § Source: the uploaded picture.
en § Revised as per your feedback.
en § Kindly rate this answer.
de § Gerne passe ich den Text an.
de Hier kommt die gewünschte Bildbeschreibung: §
de § Passt das so für Sie?
de Selbstverständlich! §
fr § Dites-le-moi si un détail manque.
fr Voici une description de la photo : §
fr § Bonne journée !
fr Avec plaisir ! §
es § Quedo a su disposición.
es Aquí tienes la descripción: §
es § Con gusto la amplío.
it § Resto a disposizione.
it Ecco la descrizione della foto: §
it Volentieri! §
pt § Fico à disposição.
pt Aqui está a descrição: §
pt Com certeza! §
nl § Ik help je graag verder.
nl Hier is de beschrijving: §
nl Graag gedaan! §
sv § Hoppas det hjälper!
sv Här är beskrivningen: §
da § Sig endelig til, hvis noget mangler.
da Her er beskrivelsen: §
no § Håper dette hjelper!
no Her er beskrivelsen: §
fi § Autan mielelläni lisää.
fi Tässä on kuvaus: §
pl § Chętnie pomogę dalej.
pl Oto opis zdjęcia: §
cs § Rád popis upravím.
cs Zde je popis snímku: §
ro § Vă stau la dispoziție.
ro Iată descrierea fotografiei: §
hu § Szívesen módosítom a szöveget.
hu Íme a kép leírása: §
tr § Başka bir isteğiniz olursa yazın.
tr İşte görselin açıklaması: §
id § Senang bisa membantu.
id Berikut deskripsi fotonya: §
vi § Rất vui được giúp bạn.
vi Đây là mô tả của bức ảnh: §
zh 以下是图片描述：§
zh § 欢迎继续提问。
ja 以下が画像の説明です。§
ja § お気軽にお尋ねください。
ko 다음은 이미지 설명입니다: §
ko § 도움이 되었으면 좋겠습니다.
ru Вот описание снимка: §
ru § Буду рад помочь ещё.
uk Ось опис знімка: §
uk § Радо допоможу ще.
bg Ето описанието на снимката: §
bg § Ще се радвам да помогна още.
el Ορίστε η περιγραφή της εικόνας: §
el § Είμαι στη διάθεσή σας.
ar إليك وصف الصورة: §
ar § يسعدني تقديم المزيد.
fa در اینجا توضیح تصویر آمده است: §
fa § خوشحال می‌شوم کمک کنم.
he הנה תיאור התמונה: §
he § אשמח לעזור עוד.
hi यहाँ तस्वीर का विवरण है: §
hi § मुझे और मदद करने में खुशी होगी।
th นี่คือคำอธิบายภาพ: §
th § ยินดีช่วยเหลือเพิ่มเติมครับ
"""

DATA = """
en tram,bakery,woman,pram⏎orange,red,30,blue
en id,object,colour,count⏎1,tram,orange,1⏎2,pram,blue,1
en object	colour	count⏎tram	orange	1⏎pram	blue	1
en def describe(image):⏎    return "an orange tram"
en print("An orange tram stops in front of a bakery")
en scene = {tram: orange, place: bakery}
en const caption = "An orange tram";
en SELECT * FROM objects WHERE label = 'tram';
en objects:⏎  - tram⏎  - bakery⏎  - woman
en title: Tram⏎mood: calm⏎palette: orange, grey
en (tram, orange), (bakery, red), (woman, blue coat)
en tram [12, 40, 380, 300]; woman [400, 90, 460, 290]
en {"caption": "An orange tram stops", "tags": ["tram", "bakery"]}
en [tram] -> [bakery] -> [woman]
en tram > bakery > woman > pram > street > sky
en Who: a woman. What: a tram. Where: a bakery. When: daytime.
en WHO - a woman with a pram; WHAT - an orange tram; WHERE - a bakery
en a) orange tram b) bakery c) woman with a pram
en (1) orange tram (2) bakery (3) woman with pram
en tram=1&bakery=1&woman=1&pram=1
en orange_tram, bakery, woman, pram, cobblestones, city_street, daylight
en tram; bakery; woman; pram; street; lamp; sky
en Tags: tram, bakery, woman, pram, street
en Keywords: tram, bakery, pram
en <image_description>An orange tram</image_description>
en "tram", "bakery", "woman", "pram", "street"
en tram × 1, bakery × 1, woman × 1, pram × 1
en import json⏎data = json.loads(text)⏎print(data["tram"])
en \\begin{figure} \\caption{An orange tram} \\end{figure}
en Foreground - pram. Middle - tram. Background - bakery.
de Motiv: Straßenbahn. Ort: Bäckerei. Person: Frau mit Kinderwagen.
de Straßenbahn, Bäckerei, Frau, Kinderwagen, Straße, Himmel, Laterne
fr Sujet : tramway. Lieu : boulangerie. Personne : femme avec poussette.
fr tramway, boulangerie, femme, poussette, rue, ciel, réverbère
es Sujeto: tranvía. Lugar: panadería. Persona: mujer con cochecito.
it tram, panificio, donna, passeggino, strada, cielo, lampione
pl Obiekt: tramwaj. Miejsce: piekarnia. Osoba: kobieta z wózkiem.
ru Объект: трамвай. Место: пекарня. Человек: женщина с коляской.
ru трамвай, пекарня, женщина, коляска, улица, небо, фонарь
zh 主体：电车；地点：面包店；人物：推婴儿车的女子
zh 电车，面包店，女子，婴儿车，街道，天空，路灯
ja 被写体：路面電車　場所：パン屋　人物：女性
ja 路面電車、パン屋、女性、ベビーカー、通り、空、街灯
ko 대상: 전차, 장소: 빵집, 인물: 여자
tr tramvay, fırın, kadın, bebek arabası, sokak, gökyüzü, lamba
ar ترام، مخبز، امرأة، عربة أطفال، شارع، سماء، مصباح
hi विषय: ट्राम। स्थान: बेकरी। व्यक्ति: महिला।
th วัตถุ: รถราง, สถานที่: ร้านเบเกอรี่, บุคคล: ผู้หญิง
"""

LOOPS = """
en § ~ ~ ~ ~ ~ ~ ~ ~ ~ ~ ~ ~ ~ ~ ~ ~ ~ ~ ~ ~
en § 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
en § 1. 1. 1. 1. 1. 1. 1. 1. 1. 1. 1. 1. 1. 1. 1. 1.
en § 🚋🚋🚋🚋🚋🚋🚋🚋🚋🚋
en § 🚋 🥐 🚋 🥐 🚋 🥐 🚋 🥐 🚋 🥐 🚋 🥐 🚋 🥐
en § /\\/\\/\\/\\/\\/\\/\\/\\/\\/\\/\\/\\/\\/\\/\\/\\
en § +++++++++++++++++++++++++++++
en § =-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-
en § |||||||||||||||||||||||||||||||||
en § 99999999999999999999999999999
en § 0.0000000000000000000000000000000001
en § 3.14141414141414141414141414141414
en § 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 42, 44, 46, 48, 50, 52, 54, 56
en § 5 5 7 5 5 7 5 5 7 5 5 7 5 5 7 5 5 7 5 5 7
en § 1/1/1/1/1/1/1/1/1/1/1/1/1/1/1/1/1/1
en § (((((((((((((((((((((((((((((
en § ()()()()()()()()()()()()()()()()()()
en § ♪ ♫ ♪ ♫ ♪ ♫ ♪ ♫ ♪ ♫ ♪ ♫ ♪ ♫ ♪ ♫ ♪ ♫
en § ❤️❤️❤️❤️❤️❤️❤️❤️❤️❤️❤️
en § ✅✅✅✅✅✅✅✅✅✅
en § 🇩🇪🇩🇪🇩🇪🇩🇪🇩🇪🇩🇪🇩🇪🇩🇪
en § 👩‍👧👩‍👧👩‍👧👩‍👧👩‍👧👩‍👧👩‍👧👩‍👧👩‍👧
en An orange tram stops stops stops stops stops stops stops stops stops
en An orange tram and an orange tram and an orange tram and an orange tram and an orange tram and an orange tram
en § § § §
en § The tram is orange. The tram is orange. The tram is orange. The tram is orange.
en § wheel door wheel door wheel door wheel door wheel door wheel door wheel door
en § hahahahahahahahahahahahahahahahahahahahaha
en § lalala lalala lalala lalala lalala lalala lalala lalala
en § x x x x x x x x x x x x x x x x x x x x x
en § and so on and so on and so on and so on and so on
en § ½½½½½½½½½½½½½½½½½½½½½½½
en § ........ ........ ........ ........ ........ ........
de § und dann und dann und dann und dann und dann und dann und dann
fr § la la la la la la la la la la la la la la
es § muy muy muy muy muy muy muy muy muy muy grande
zh § 的的的的的的的的的的的的的的的的的
zh § 非常非常非常非常非常非常非常非常非常非常大
zh § ，，，，，，，，，，，，，，，，，，，，，
ja § です。です。です。です。です。です。です。です。
ja § ーーーーーーーーーーーーーーーーーーーーーーーー
ko § 있다 있다 있다 있다 있다 있다 있다 있다 있다
ru § и и и и и и и и и и и и и и и и
ar § جدا جدا جدا جدا جدا جدا جدا جدا جدا
th § มากมากมากมากมากมากมากมากมากมากมากมากมากมาก
hi § बहुत बहुत बहुत बहुत बहुत बहुत बहुत बहुत बहुत
"""

CUT = """
en § On the right, a lamp post with
en § Behind the bakery's window, loaves of bread are stacked on
en An orange tram stops in front of a bakery while a woman with a
en An orange tram stops in front of a bakery, which
en An orange tram that has
en An orange tram is about to
en A woman with a pram, her hand on the handle of the
en An orange tram passes a bakery whose windows are
en An orange tram (number 9, built in
en An orange tram next to
en An orange tram in front of
en A woman in a long coat pushes a pram towards
en An orange tram, a bakery and
en An orange tram and two
en An orange tram stops at
en An orange tram runs along
en An orange tram with a small
en A woman who is wearing a blue
en The scene is lit by
en The tram's number reads "9
en The picture shows:
en An orange tram—
en An orange tram stops, and then
en A woman gets on the tram, although
en There are three people, each
de Eine orangefarbene Straßenbahn hält vor einer
de Eine Straßenbahn, die
de § Rechts daneben steht ein
fr Un tramway orange s'arrête devant
fr Un tramway orange qui
fr § À droite, un homme avec
es Un tranvía naranja que
es Un tranvía naranja se detiene ante
it Un tram arancione che si ferma davanti a
it § A destra c'è un
pt Um elétrico laranja que para em frente a
pt § À direita há uma
nl Een oranje tram die voor een
nl § Rechts staat een man met
sv En orange spårvagn som stannar framför
da En orange sporvogn, der holder foran et
no En oransje trikk som stopper foran
fi Oranssi raitiovaunu, joka
pl Pomarańczowy tramwaj, który
pl § Po prawej stoi
cs Oranžová tramvaj, která
ro Un tramvai portocaliu care
hu Egy narancssárga villamos, amely
tr § Sağda bir
id Sebuah trem oranye yang
vi Một chiếc tàu điện màu cam đang
zh 一辆橙色的有轨电车停在
zh 一辆橙色的有轨电车和一位推着婴儿车的
zh §右侧有一根
ja オレンジ色の路面電車が
ja §右側には街灯があり、
ko 주황색 전차가 빵집 앞에서
ru Оранжевый трамвай, который
ru § Справа стоит
uk Помаранчевий трамвай, який
bg Оранжев трамвай, който
el Ένα πορτοκαλί τραμ που
ar ترام برتقالي يتوقف أمام
fa یک تراموای نارنجی که
he חשמלית כתומה עוצרת מול
hi एक नारंगी ट्राम जो
th รถรางสีส้มจอดอยู่ที่
"""

TOKENS = """
en §<|im_end|>
en §<|im_start|>assistant
en §<|eot|>
en §<|eom_id|>
en §<｜end▁of▁sentence｜>
en §</s>
en <s>§</s>
en §<eos>
en <bos>§
en §<pad><pad><pad>
en §<end_of_turn>⏎<start_of_turn>user
en §<|end|>
en §<|assistant|>
en §[/INST]
en §[INST] Next
en §[SEP]
en [CLS] §
en §[EOS]
en §[PAD][PAD]
en §<|vision_start|><|image_pad|><|vision_end|>
en <image>§
en <image_soft_token>§
en <IMG_CONTEXT>§
en <|image_1|>§
en <Img>a.jpg</Img>§
en <ImageHere>§
en §<box>12 40 380 300</box>
en §<|box_start|>(12,40)<|box_end|>
en §<loc0040>
en <DETAILED_CAPTION>§
en §<unused12>
en §<reserved_3>
en §<SPECIAL_7>
en §<0x0A><0x0A>
en §<|fim_middle|>
en §<fim_suffix>
en ▁An▁orange▁tram▁stops▁in▁front▁of▁a▁bakery.
en ĠAn Ġorange Ġtram Ġstops Ġin Ġfront Ġof Ġa Ġbakery.
en §<n>
en §### Assistant:
en §⏎### Human: Describe it again
en §⏎USER: And the next?
en §<|channel|>final<|message|>
en §</think>
en <think>a tram</think>§
en §<answer>
en <reasoning>tram</reasoning>§
en §<tool_call>
en [TOOL_CALLS] §
en §[|system|]
en §<|START_OF_TURN_TOKEN|>
en §<eoi>
en <boi>§
en §<extra_0>
en §<madeupword0001>
en §<global-img>
en <row_1_col_1>§
en §<|endofchunk|>
en §<end_of_text>
en §<|im_end
de §<|im_end|>
fr §</s>
zh §<|im_end|>
ja §<eos>
ru §<|eot_id|>
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
