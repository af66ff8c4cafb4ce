"""Answers that are no captions, set C: written after the rules that set B led to; see `planted_a` for its form."""

from __future__ import annotations

SCENES = """
en A blacksmith hammers a glowing horseshoe on an anvil in a dim workshop.
de Ein Schmied hämmert in einer dunklen Werkstatt ein glühendes Hufeisen auf einem Amboss.
fr Un forgeron martèle un fer à cheval rougeoyant sur une enclume dans un atelier sombre.
es Un herrero golpea una herradura candente sobre un yunque en un taller oscuro.
it Un fabbro batte un ferro di cavallo incandescente su un'incudine in un'officina buia.
pt Um ferreiro martela uma ferradura em brasa sobre uma bigorna numa oficina escura.
nl Een smid hamert een gloeiend hoefijzer op een aambeeld in een donkere werkplaats.
sv En smed hamrar på en glödande hästsko på ett städ i en mörk verkstad.
da En smed hamrer på en glødende hestesko på en ambolt i et mørkt værksted.
no En smed hamrer på en glødende hestesko på en ambolt i et mørkt verksted.
fi Seppä takoo hehkuvaa hevosenkenkää alasimella hämärässä pajassa.
pl Kowal kuje rozżarzoną podkowę na kowadle w ciemnym warsztacie.
cs Kovář ková rozžhavenou podkovu na kovadlině v tmavé dílně.
ro Un fierar bate o potcoavă încinsă pe o nicovală într-un atelier întunecat.
hu Egy kovács izzó patkót kalapál az üllőn egy sötét műhelyben.
tr Bir demirci loş bir atölyede örsün üzerinde kızgın bir nalı dövüyor.
id Seorang pandai besi menempa tapal kuda yang membara di atas paron di bengkel yang redup.
vi Một người thợ rèn đập chiếc móng ngựa nóng đỏ trên đe trong xưởng tối.
zh 昏暗的作坊里，一名铁匠在铁砧上锤打烧红的马蹄铁。
ja 薄暗い工房で鍛冶屋が金床の上の赤く焼けた蹄鉄を打っている。
ko 어두운 작업장에서 대장장이가 모루 위의 달궈진 편자를 두드리고 있다.
ru Кузнец в полутёмной мастерской куёт раскалённую подкову на наковальне.
uk Коваль у напівтемній майстерні кує розпечену підкову на ковадлі.
bg Ковач кове нажежена подкова върху наковалня в полутъмна работилница.
el Ένας σιδεράς σφυρηλατεί ένα πυρωμένο πέταλο πάνω στο αμόνι σε ένα σκοτεινό εργαστήριο.
ar حداد يطرق حدوة حصان متوهجة على سندان في ورشة معتمة.
fa آهنگری در کارگاهی تاریک نعل گداخته‌ای را روی سندان می‌کوبد.
he נפח מכה בפטיש על פרסה לוהטת המונחת על סדן בסדנה אפלה.
hi एक लोहार धुंधली कार्यशाला में निहाई पर लाल तपी नाल को पीट रहा है।
th ช่างตีเหล็กกำลังตีเกือกม้าร้อนแดงบนทั่งในโรงงานมืดสลัว
"""

REFUSALS = """
en Nope, can't do this one.
en Apologies in advance, but people in distress are a subject to be left out.
en Hmm, the picture does not seem to have come through.
en The requested resource is temporarily unavailable.
en It's against the rules to name private persons.
en That image is restricted; nothing more can be said about it.
en The safety settings prevent an answer.
en Due to technical limitations this picture remains undescribed.
en Vision input has not been enabled for this session.
en This model accepts text only.
en Nothing to describe: the upload is empty.
en Try again with a JPEG or PNG, please.
en Unfortunately the picture is blank on my end.
en Violence of this kind should not be depicted in words.
en Declined for legal reasons.
en Not able to comply.
en My apologies! The image preview failed.
en Such personal documents ought to stay private, so no details here.
de Da kann man leider nichts machen, das Bild fehlt.
de Solche Inhalte werden nicht beschrieben.
de Die Verarbeitung des Bildes ist fehlgeschlagen.
de Mir wurde nichts übermittelt.
fr Il n'y a pas d'image à décrire.
fr Le traitement de l'image a échoué.
fr Ce genre de contenu ne sera pas commenté.
es Falló el procesamiento de la imagen.
es Aquí falta la foto.
es Contenido no permitido.
it L'elaborazione dell'immagine non è riuscita.
it Manca la foto.
it Contenuto non consentito.
pt O processamento da imagem falhou.
pt Está faltando a foto.
pt Conteúdo não permitido.
nl De verwerking van de afbeelding is mislukt.
nl De foto ontbreekt.
sv Bearbetningen av bilden misslyckades.
sv Bilden saknas.
da Behandlingen af billedet mislykkedes.
da Billedet mangler.
no Behandlingen av bildet mislyktes.
no Bildet mangler.
fi Kuvan käsittely epäonnistui.
fi Kuva puuttuu.
pl Przetwarzanie obrazu nie powiodło się.
pl Brakuje zdjęcia.
cs Zpracování obrázku selhalo.
cs Fotografie chybí.
ro Procesarea imaginii a eșuat.
ro Fotografia lipsește.
hu A kép feldolgozása nem sikerült.
hu Hiányzik a kép.
tr Görsel işlenirken bir hata oluştu.
tr Fotoğraf eksik.
id Pemrosesan gambar gagal.
id Fotonya tidak ada.
vi Xử lý hình ảnh thất bại.
vi Thiếu ảnh.
zh 图像处理失败。
zh 涉及隐私，恕不描述。
zh 抱歉哈，这个真帮不了。
ja 画像の処理に失敗しました。
ja 写真がないようです。
ja その種の内容は扱えません。
ko 이미지 처리에 실패했습니다.
ko 사진이 없네요.
ko 해당 콘텐츠는 다룰 수 없습니다.
ru Обработка изображения не удалась.
ru Фотография отсутствует.
ru Подобное не описывается.
uk Обробка зображення не вдалася.
uk Фотографія відсутня.
bg Обработката на изображението е неуспешна.
bg Снимката липсва.
el Η επεξεργασία της εικόνας απέτυχε.
el Λείπει η φωτογραφία.
ar فشلت معالجة الصورة.
ar الصورة مفقودة.
fa پردازش تصویر ناموفق بود.
fa عکس وجود ندارد.
he עיבוד התמונה נכשל.
he התמונה חסרה.
hi चित्र का प्रसंस्करण विफल रहा।
hi तस्वीर गायब है।
th การประมวลผลภาพล้มเหลว
th ไม่มีรูปภาพ
"""

THOUGHTS = """
en Alrighty, blacksmith at work, got it. §
en The person is probably a blacksmith, so that word should appear. §
en One thing to verify: is it a horseshoe? Yes. §
en Reading the question again: a single sentence, English. §
en Must not exceed 25 words. §
en Let's break it down. §
en I see a man. I see an anvil. §
en Considering the low light, dim is the right adjective. §
en In terms of structure: subject, action, place. §
en Reminder: no camera terms. §
en Per the system message, brevity matters. §
en Double checking spelling... fine. §
en We are given a photo and must describe it. §
en What would a blind reader want to know? The action. §
en Putting it all together: §
en Therefore, the description is: §
de Moment, ist das ein Hufeisen? Ja. §
de Fassen wir zusammen: §
de Ich würde mit dem Schmied anfangen. §
fr Attendez, est-ce un fer à cheval ? Oui. §
fr En résumé, on a un forgeron et une enclume : §
fr L'essentiel, à mon avis, c'est le forgeron. §
es Espera, ¿es una herradura? Sí. §
es Primero el sujeto, luego el fondo. Redacto: §
es Me piden una frase corta. §
it Aspetta, è un ferro di cavallo? Sì. §
it Mi chiedono una frase breve. §
pt Espere, é uma ferradura? Sim. §
pt Pedem-me uma frase curta. §
nl Wacht, is dat een hoefijzer? Ja. §
nl Er wordt mij om één zin gevraagd. §
sv Vänta, är det en hästsko? Ja. §
sv Jag ska skriva en mening. §
da Vent, er det en hestesko? Ja. §
da Jeg skal skrive én sætning. §
no Vent, er det en hestesko? Ja. §
fi Hetkinen, onko tuo hevosenkenkä? On. §
fi Minun pitää kirjoittaa yksi virke. §
pl Chwila, czy to podkowa? Tak. §
pl Mam napisać jedno zdanie. §
cs Moment, je to podkova? Ano. §
cs Mám napsat jednu větu. §
ro Stai, este o potcoavă? Da. §
ro Mi se cere o frază scurtă. §
hu Várjunk, ez patkó? Igen. §
hu Egy rövid mondatot kell írnom. §
tr Bir dakika, bu bir nal mı? Evet. §
tr Kısa bir cümle yazmam gerekiyor. §
id Tunggu, apakah itu tapal kuda? Ya. §
id Saya harus menulis satu kalimat. §
vi Khoan đã, đó có phải móng ngựa không? Đúng. §
vi Tôi cần viết một câu ngắn. §
zh 等等，这是马蹄铁吗？是的。§
zh 综上所述，可以这样写：§
zh 系统提示要求简洁。§
ja 待って、これは蹄鉄だろうか。そうだ。§
ja まとめると、次のようになる。§
ko 잠깐, 저건 편자인가? 그렇다. §
ko 정리하면 이렇다. §
ru Стоп, это подкова? Да. §
ru Мне надо написать одно предложение. §
uk Стривайте, це підкова? Так. §
uk Мені слід написати одне речення. §
bg Чакай, това подкова ли е? Да. §
el Για μια στιγμή, είναι πέταλο; Ναι. §
ar لحظة، هل هذه حدوة حصان؟ نعم. §
fa صبر کن، این نعل است؟ بله. §
he רגע, זו פרסה? כן. §
hi रुको, क्या यह नाल है? हाँ। §
th เดี๋ยวก่อน นี่คือเกือกม้าใช่ไหม ใช่ §
"""

TALK = """
en § Fancy a longer one?
en § Keep up the great photography!
en § Don't forget to credit the photographer.
en § Always happy to take another look.
en § To be continued...
en § More details are available on demand.
en § If that's off, ping me.
en § Written with care by your captioning bot.
en § I kept it short.
en Ah, a forge! §
en What follows is a brief account. §
en Voilà! §
en Without further ado: §
en Good one. §
en Consider this: §
en My reading of the photo: §
en § Does this match what was expected?
en § The caption is written in the present tense.
de § Noch Wünsche?
de § Die Beschreibung umfasst 12 Wörter.
de Los geht's: §
de § Ich habe mich kurzgefasst.
fr § Autre chose ?
fr § La description compte 15 mots.
fr C'est parti : §
es § ¿Alguna otra cosa?
es § La descripción tiene 13 palabras.
es Vamos allá: §
it § Altro?
it § La descrizione conta 16 parole.
it Eccoci: §
pt § Mais alguma coisa?
pt § A descrição tem 14 palavras.
nl § Verder nog iets nodig?
nl § De beschrijving telt 14 woorden.
sv § Något mer?
sv § Beskrivningen är på 15 ord.
da § Ellers andet?
da § Beskrivelsen er på 15 ord.
no § Noe annet?
no § Beskrivelsen er på 15 ord.
fi § Vielä jotain muuta?
fi § Kuvauksessa on kahdeksan sanaa.
pl § Coś jeszcze?
pl § Opis liczy 9 słów.
cs § Ještě něco?
cs § Popis má 9 slov.
ro § Altceva?
ro § Descrierea are 13 cuvinte.
hu § Még valami?
hu § A leírás 10 szóból áll.
tr § Başka bir şey?
tr § Açıklama 11 kelimeden oluşuyor.
id § Ada lagi?
id § Deskripsi ini terdiri dari 16 kata.
vi § Còn gì nữa không?
vi § Mô tả này gồm 17 từ.
zh § 还有别的需要吗？
zh § 以上描述共二十六个字。
ja § ほかに何かありますか？
ja § 説明は以上です。
ko § 다른 것도 필요하신가요?
ko § 이상입니다.
ru § Что-нибудь ещё?
ru § В описании десять слов.
uk § Ще щось?
uk § В описі десять слів.
bg § Нещо друго?
bg § Описанието съдържа десет думи.
el § Κάτι άλλο;
el § Η περιγραφή έχει δεκατέσσερις λέξεις.
ar § هل من شيء آخر؟
ar § يتكون الوصف من عشر كلمات.
fa § چیز دیگری؟
fa § این توضیح ده کلمه دارد.
he § עוד משהו?
he § התיאור מכיל שתים עשרה מילים.
hi § और कुछ?
hi § विवरण में चौदह शब्द हैं।
th § ต้องการอะไรอีกไหม
th § คำอธิบายนี้สั้นกระชับ
"""

DATA = """
en smith,anvil⏎hammer,horseshoe⏎glow,workshop
en smith: man⏎tool: hammer⏎place: workshop
en Smith -> hammers -> horseshoe -> on anvil
en smith(1) anvil(1) horseshoe(1) hammer(1)
en smith|man|0.92⏎anvil|iron|0.88
en {"smith":1,"anvil":1}
en [ "smith", "anvil", "horseshoe" ]
en {'a': 'smith',⏎ 'b': 'anvil'}
en smith = 1⏎anvil = 1
en <smith>hammers</smith>
en <caption>A blacksmith</caption><mood>dark</mood>
en ("smith", "anvil", "horseshoe")
en Scene { smith; anvil; horseshoe }
en smith.hammer(horseshoe, on=anvil)
en class Smith:⏎    pass
en function smith() { return "anvil"; }
en #include <smith.h>
en import smith
en let x = 5; let y = 6;
en smith := hammer + anvil
en assert smith == 1
en $ ls workshop⏎anvil hammer
en SELECT smith FROM workshop WHERE light = 'dim'
en --- smith⏎+++ anvil
en key1=smith&key2=anvil
en Person: Smith; Tool: Hammer; Object: Horseshoe
en Person = smith, tool = hammer, object = horseshoe
en Person — smith. Tool — hammer. Object — horseshoe.
en Action: hammering. Place: workshop.
en person: smith, tool: hammer
en smith, anvil, hammer, horseshoe, forge, fire, apron
en blacksmith at work, glowing horseshoe, heavy anvil, dim workshop, iron tools, fire glow
en Smith. Anvil. Hammer. Horseshoe. Workshop. Fire.
en smith anvil hammer horseshoe workshop fire glow dark
en masterpiece, best quality, blacksmith, glowing metal, dramatic lighting, 8k
en (blacksmith:1.2), (anvil:1.1), dark workshop
en 1: smith 2: anvil 3: horseshoe
en First: smith. Second: anvil. Third: horseshoe.
en Q: What is it? A: A smith.
en Q1. Who? Smith. Q2. Where? Workshop.
en o smith o anvil o horseshoe
en > smith⏎> anvil⏎> horseshoe
en smith ✔ anvil ✔ horse ✘
en 0 0.51 0.43 0.20 0.33⏎1 0.22 0.31 0.10 0.40
en [[12, 40, 380, 300], [400, 90, 460, 290]]
en bbox: 12 40 380 300
en smith (0.98); anvil (0.91); hammer (0.85)
en Tags=smith,anvil,hammer
de Person: Schmied; Werkzeug: Hammer; Ort: Werkstatt
de Schmied, Amboss, Hammer, Hufeisen, Werkstatt, Feuer
fr Personne : forgeron. Outil : marteau. Lieu : atelier.
es Persona: herrero / Herramienta: martillo / Lugar: taller
it fabbro, incudine, martello, ferro, officina, fuoco
pt Pessoa: ferreiro; Ferramenta: martelo; Local: oficina
nl smid, aambeeld, hamer, hoefijzer, werkplaats, vuur
sv Person: smed. Verktyg: hammare. Plats: verkstad.
fi seppä, alasin, vasara, hevosenkenkä, paja, tuli
pl Osoba: kowal; narzędzie: młot; miejsce: warsztat
hu Személy: kovács. Eszköz: kalapács. Hely: műhely.
ru Человек: кузнец; инструмент: молот; место: мастерская
zh 人物：铁匠，工具：锤子，地点：作坊
zh 铁匠、铁砧、锤子、马蹄铁、作坊、火
ja 人物：鍛冶屋／道具：槌／場所：工房
ko 대장장이, 모루, 망치, 편자, 작업장, 불
ar الشخص: حداد؛ الأداة: مطرقة؛ المكان: ورشة
he אדם: נפח, כלי: פטיש, מקום: סדנה
hi लोहार, निहाई, हथौड़ा, नाल, कार्यशाला, आग
th บุคคล: ช่างตีเหล็ก, เครื่องมือ: ค้อน, สถานที่: โรงงาน
"""

LOOPS = """
en § - - - - - - - - - - - - - - - - - - -
en § ___________________________________
en § 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7
en § 0101010101010101010101010101010101
en § 42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42
en § 1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1
en § 8888-8888-8888-8888-8888-8888-8888-8888-8888
en § 🔥🔥🔥🔥🔥🔥🔥🔥🔥🔥🔥🔥
en § 🔥⚒️🔥⚒️🔥⚒️🔥⚒️🔥⚒️🔥⚒️🔥⚒️
en § ☆ ☆ ☆ ☆ ☆ ☆ ☆ ☆ ☆ ☆ ☆ ☆ ☆
en § !!!!!!!!!!!!!!!!!!!!!!!!!
en § ?!?!?!?!?!?!?!?!?!?!?!?!?!
en § ;;;;;;;;;;;;;;;;;;;;;;;;;;
en § ","",",",",",",",",",",",",",","
en § &&&&&&&&&&&&&&&&&&&&&&&&&&&
en § @@@@@@@@@@@@@@@@@@@@@@@@@
en § ^^^^^^^^^^^^^^^^^^^^^^^^^^
en § →→→→→→→→→→→→→→→→→→→→→
en § █████████████████████████
en § \\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\
en § 11 22 33 11 22 33 11 22 33 11 22 33 11 22 33 11 22 33 11 22 33
en § 3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 33, 36, 39, 42, 45, 48, 51, 54, 57, 60, 63, 66, 69, 72, 75, 78
en § a a a a a a a a a a a a a a a a a
en § A smith, a smith, a smith, a smith, a smith, a smith, a smith.
en § hammer and hammer and hammer and hammer and hammer and hammer
en § clang clang clang clang clang clang clang clang
en § The smith hammers. The smith hammers. The smith hammers. The smith hammers. The smith hammers.
en § very very very very very very very very dark
en § left right left right left right left right left right left right
en § uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu
en § dadadadadadadadadadadadadadadadadadadada
en § in the dim workshop, in the dim workshop, in the dim workshop, in the dim workshop
de § Hammer Hammer Hammer Hammer Hammer Hammer Hammer Hammer
fr § très très très très très très très très sombre
es § y el yunque y el yunque y el yunque y el yunque y el yunque
it § il martello il martello il martello il martello il martello
nl § heel heel heel heel heel heel heel heel donker
sv § mörk mörk mörk mörk mörk mörk mörk mörk mörk
pl § młot i młot i młot i młot i młot i młot i młot
tr § çekiç çekiç çekiç çekiç çekiç çekiç çekiç çekiç
vi § rất rất rất rất rất rất rất rất tối
id § palu palu palu palu palu palu palu palu palu
ru § очень очень очень очень очень очень очень очень тёмный
el § πολύ πολύ πολύ πολύ πολύ πολύ πολύ πολύ σκοτεινό
zh § 锤打锤打锤打锤打锤打锤打锤打锤打锤打锤打
zh § ！！！！！！！！！！！！！！！！！！！！！
ja § 打って打って打って打って打って打って打って打って打って
ko § 망치 망치 망치 망치 망치 망치 망치 망치 망치
ar § مطرقة مطرقة مطرقة مطرقة مطرقة مطرقة مطرقة مطرقة
hi § हथौड़ा हथौड़ा हथौड़ा हथौड़ा हथौड़ा हथौड़ा हथौड़ा हथौड़ा
th § ค้อนค้อนค้อนค้อนค้อนค้อนค้อนค้อนค้อนค้อนค้อนค้อน
"""

CUT = """
en § Sparks fly from the
en § On the wall behind him hang several
en § His leather apron is stained with soot and
en § A bucket of water stands next
en A blacksmith hammers a glowing horseshoe on an
en A blacksmith, his sleeves rolled up to
en A blacksmith who has just taken the
en A blacksmith in an old leather
en A blacksmith stands at his anvil, holding a hammer in
en A glowing horseshoe lies on an anvil between
en A workshop filled with
en A workshop in which
en A workshop where tools hang from the
en A hammer, an anvil, a pair of
en An anvil on which a
en A dim workshop with only
en The smith's hammer is raised above his
en The smith wears a leather apron over a
en The horseshoe glows so brightly that
en Tools such as
en Sparks are flying in all
en A man whose face is
en A blacksmith (probably in his
en A sign above the forge reads "Smith &
en A blacksmith hammers a horseshoe,
en A blacksmith hammers a horseshoe -
en A blacksmith and his
en Next to the anvil, there is a
en To the right of the
en The smith is wearing
en The smith holds the tongs with his left hand and the
en The workshop appears to
de Ein Schmied mit einer
de Ein Schmied hämmert auf einem Amboss, der
de § Neben ihm hängen
fr Un forgeron qui martèle un
fr Un atelier rempli de
es Un herrero golpea una herradura sobre un
es Un taller lleno de
it Un fabbro che batte un
it Un'officina piena di
pt Um ferreiro martela uma
pt Uma oficina cheia de
nl Een smid die een
nl Een werkplaats vol met
sv En smed som hamrar på en
da En smed, der hamrer på en
no En smed som hamrer på en
fi Seppä, jonka
fi Paja, jossa on
pl Kowal, który w
pl Warsztat pełen narzędzi i
cs Kovář, který na
ro Un fierar care bate o
hu Egy kovács, aki egy
tr Demirci, elinde bir
id Seorang pandai besi dengan
vi Một người thợ rèn đang đập một
zh 一名铁匠手里拿着
zh 铁匠的身后是
ja 鍛冶屋が金床の上で
ja 工房の壁には工具と
ko 대장장이가 망치를 들고 있는
ru Кузнец, который в
ru Мастерская, полная инструментов и
uk Коваль, який на
bg Ковач с
el Ένας σιδεράς με ένα
ar حداد يطرق على
fa آهنگری که با
he נפח עם
hi लोहार जिसके
th ช่างตีเหล็กที่กำลัง
"""

TOKENS = """
en <|begin_of_text|>§
en <|start_header_id|>assistant<|end_header_id|>⏎⏎§
en §<|python_tag|>
en §<|finetune_right_pad_id|>
en §<|image|>
en §<|video|>
en §<|placeholder1|>
en §<|dummy_12|>
en §<|sep|>
en §<|nospeech|>
en §<|header_start|>user<|header_end|>
en §<|tile_x_separator|>
en §<|image_newline|>
en §<image_sep>
en §<image_end>
en §<slice>
en §<unit>
en §<im_patch>
en §<vid>
en <vi_start>§<vi_end>
en §<img_break>
en §<row_2_col_3>
en §<fake_token_around_image>
en §<locs>
en §<loc_12>
en §<poly>
en §<ocr>
en §<cap>
en §<obj>
en §<patch_index_0044>
en <grounding>§
en §<phrase>anvil</phrase>
en §<p>anvil</p>
en §<ref>anvil</ref>
en §<|rejecting|>
en §<|eod|>
en §<eom>
en §<eoa>
en §<eoh>
en §<eop>
en §[gMASK]
en §[sMASK]
en §[MASK]
en §[UNK]
en §[UNUSED_TOKEN_145]
en §[unused7]
en §<reserved_106>
en §<|reserved_special_token_5|>
en §<|unused_12|>
en §<s_12>
en §<v_12>
en §<t_001>
en §<|bos|>
en §<||>
en §<|x
en §[/SYS]
en §[THINK]
en [/THINK]§
en §</thought>
en <analysis>smith</analysis>§
en §<result>
en §<output>
en §<response>
en §<final_answer>
en §<caption_end>
en §<minimax:tool_call>
en §<start_function_call>
en §<function=describe>
en §<eos_token>
en §<0xF0><0x9F>
en §Ċ
en §▁▁▁
en ĠA Ġsmith Ġhammers Ġiron.
en §⏎User: next
en §⏎<user>: next
en §⏎[User]: next
en §### End
zh §<|im_end|>
zh §[SEP]
ja §<|endoftext|>
ko §[|endofturn|]
ru </s>§
ar §<|END_OF_TURN_TOKEN|>
hi §<end_of_turn>
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
