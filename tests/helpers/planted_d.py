"""Answers that are no captions, set D: written after the rules that set C led to; see `planted_a` for its form."""

from __future__ import annotations

SCENES = """
en A barn owl lands on a mossy fence post at dusk.
de Eine Schleiereule landet in der Dämmerung auf einem bemoosten Zaunpfahl.
fr Une chouette effraie se pose au crépuscule sur un poteau moussu.
es Una lechuza se posa al anochecer sobre un poste cubierto de musgo.
it Un barbagianni si posa al tramonto su un palo coperto di muschio.
pt Uma coruja pousa ao anoitecer num poste coberto de musgo.
nl Een kerkuil landt in de schemering op een bemoste paal.
sv En tornuggla landar i skymningen på en mossig stolpe.
da En slørugle lander i skumringen på en mosbegroet pæl.
no En tårnugle lander i skumringen på en mosegrodd stolpe.
fi Tornipöllö laskeutuu hämärässä sammaleiselle aidantolpalle.
pl Płomykówka siada o zmierzchu na omszałym słupku ogrodzenia.
cs Sova pálená usedá za soumraku na mechem porostlý sloupek.
ro O strigă se așază în amurg pe un stâlp acoperit cu mușchi.
hu Egy gyöngybagoly alkonyatkor egy mohos kerítésoszlopra száll.
tr Bir peçeli baykuş alacakaranlıkta yosunlu bir çit direğine konuyor.
id Seekor serak hinggap di tiang pagar berlumut saat senja.
vi Một con cú lợn đậu xuống cọc rào phủ rêu lúc chạng vạng.
zh 黄昏时分，一只仓鸮落在长满苔藓的木桩上。
ja 夕暮れ、メンフクロウが苔むした柵の杭に舞い降りる。
ko 해 질 녘 외양간올빼미 한 마리가 이끼 낀 말뚝에 내려앉는다.
ru Сипуха садится в сумерках на замшелый столб забора.
uk Сипуха сідає в сутінках на зарослий мохом стовп.
bg Забулена сова каца по здрач върху обрасъл с мъх кол.
el Μια τυτώ προσγειώνεται το σούρουπο σε έναν πάσσαλο γεμάτο βρύα.
ar بومة بيضاء تحط عند الغسق على عمود سياج مكسو بالطحالب.
fa جغدی هنگام غروب روی تیرک خزه‌بسته حصار می‌نشیند.
he תנשמת נוחתת בין הערביים על עמוד גדר מכוסה טחב.
hi शाम ढले एक उल्लू काई लगे बाड़ के खंभे पर उतरता है।
th นกแสกเกาะลงบนเสารั้วที่มีตะไคร่น้ำตอนพลบค่ำ
"""

REFUSALS = """
en I'd love to assist, yet the photo never showed up.
en Images of this nature are outside the scope of what's offered here.
en Access to the picture was denied by the server.
en The system prompt forbids me from describing logos.
en For the protection of minors, this answer has been suppressed.
en Sadly the attachment arrived empty.
en Please describe the photo in words so that help is possible.
en This chatbot has no vision.
en Regretfully, this one's a no.
en The image URL returned a 404.
en It would be unethical to describe the victims.
en My knowledge is limited to text conversations.
en I only do text, mate.
de Ohne Bild geht es leider nicht.
de Hierzu bin ich nicht befugt.
de Gewaltdarstellungen kommentiere ich nicht.
fr Sans image, impossible de répondre.
fr Cela dépasse le cadre de mes fonctions.
es Sin la foto no es posible responder.
es Excede mis funciones.
it Senza immagine non si può rispondere.
pt Sem a imagem não dá para responder.
nl Zonder foto lukt het niet.
sv Utan bild går det inte.
da Uden billede går det ikke.
no Uten bilde går det ikke.
fi Ilman kuvaa en pysty vastaamaan.
pl Bez zdjęcia nie da się odpowiedzieć.
cs Bez fotografie nelze odpovědět.
ro Fără imagine nu pot răspunde.
hu Kép nélkül nem tudok válaszolni.
tr Resim olmadan yanıt veremem.
id Tanpa gambar, saya tidak dapat menjawab.
vi Không có ảnh thì tôi không trả lời được.
zh 没有图我也没法描述啊。
zh 出于隐私保护，无法识别图中人物。
ja 画像がないとお答えできません。
ja 個人の特定につながるためお控えします。
ko 이미지가 없으면 답변이 불가능합니다.
ru Без картинки ответить не получится.
ru Описывать такое мне запрещено.
uk Без картинки відповісти не вийде.
bg Без снимка няма как да отговоря.
el Χωρίς εικόνα δεν μπορώ να απαντήσω.
ar بدون الصورة لا أستطيع الإجابة.
fa بدون تصویر نمی‌توانم پاسخ دهم.
he בלי תמונה אין באפשרותי לענות.
hi बिना तस्वीर के मैं उत्तर नहीं दे सकता।
th หากไม่มีภาพ ฉันตอบไม่ได้
"""

THOUGHTS = """
en Owl species? Heart-shaped face, so barn owl. §
en I can tell from the light that it is dusk. §
en Next up, the post: mossy. §
en The question is what matters most to the searcher. §
en Better not to name the exact species. §
en It may be wise to keep this factual. §
en No people visible, so skip those. §
en That makes nine words, which is short enough. §
en Okay, final answer below. §
en Self-check: factual, present tense, English. §
en My approach: lead with the owl. §
en Instruction-wise, one sentence. §
en So what is happening in this frame? An owl lands. §
de Was sehe ich? Eine Eule. §
de Zunächst beschreibe ich das Tier. §
de Im Auftrag steht: keine Vermutungen. §
fr Que voit-on ? Une chouette. §
fr Je note une chouette, un poteau, de la mousse. §
es ¿Qué se ve? Una lechuza. §
es Anoto: lechuza, poste, musgo. §
it Cosa si vede? Un barbagianni. §
pt O que se vê? Uma coruja. §
nl Wat zie ik? Een uil. §
sv Vad ser jag? En uggla. §
da Hvad ser jeg? En ugle. §
no Hva ser jeg? En ugle. §
fi Mitä näen? Pöllön. §
pl Co widzę? Sowę. §
cs Co vidím? Sovu. §
ro Ce văd? O strigă. §
hu Mit látok? Egy baglyot. §
tr Ne görüyorum? Bir baykuş. §
id Apa yang saya lihat? Seekor burung hantu. §
vi Tôi thấy gì? Một con cú. §
zh 我看到了什么？一只猫头鹰。§
zh 考虑到光线较暗，应该是黄昏。§
ja 何が見えるか。フクロウだ。§
ko 무엇이 보이는가? 올빼미다. §
ru Что я вижу? Сову. §
uk Що я бачу? Сову. §
bg Какво виждам? Сова. §
el Τι βλέπω; Μια κουκουβάγια. §
ar ماذا أرى؟ بومة. §
fa چه می‌بینم؟ یک جغد. §
he מה אני רואה? ינשוף. §
hi मैं क्या देख रहा हूँ? एक उल्लू। §
th ฉันเห็นอะไร นกแสก §
"""

TALK = """
en § Would a version with colours be useful?
en § Should you require anything further, I remain at your service.
en § Questions? Comments? Fire away.
en § Hopefully this ticks all the boxes.
en § Best wishes, your assistant.
en § I trust this suffices.
en § Rate this caption from 1 to 5.
en § This text was produced by an AI.
en Hey there! §
en Thanks for waiting. §
en Love this picture! §
en Right away, boss: §
en Okie dokie. §
en Here's what the picture shows: §
en Description as ordered: §
de § Ich freue mich über Rückmeldung.
de Vielen Dank für das schöne Bild! §
fr § Je reste à votre écoute.
fr Merci pour cette belle image ! §
es § Quedo atento a sus comentarios.
es ¡Gracias por la foto! §
it § Attendo un riscontro.
it Grazie per la foto! §
pt § Aguardo o seu retorno.
pt Obrigado pela foto! §
nl § Ik hoor het graag.
nl Bedankt voor de foto! §
sv § Jag ser fram emot svar.
da Tak for billedet! §
no Takk for bildet! §
fi Kiitos kuvasta! §
pl § Czekam na odpowiedź.
cs § Budu se těšit na odpověď.
ro Mulțumesc pentru fotografie! §
hu § Várom a visszajelzést.
tr Fotoğraf için teşekkürler! §
id Terima kasih atas fotonya! §
vi Cảm ơn bạn đã gửi ảnh! §
zh 感谢您的分享！§
zh § 期待您的反馈。
ja 画像をありがとうございます。§
ko 사진 감사합니다! §
ru Спасибо за снимок! §
uk Дякую за світлину! §
bg Благодаря за снимката! §
el Ευχαριστώ για τη φωτογραφία! §
ar شكرًا على الصورة! §
fa ممنون بابت عکس! §
he תודה על התמונה! §
hi तस्वीर के लिए धन्यवाद! §
th ขอบคุณสำหรับภาพ §
"""

DATA = """
en owl\tpost⏎1\t1
en owl,1,0.99⏎post,1,0.97
en bird = owl; perch = post
en {"bird":"owl","perch":"post"}
en ["owl", "post", "moss"]
en {bird: owl, time: dusk}
en bird: owl⏎perch: post
en Bird: owl | Perch: post | Time: dusk
en Bird - owl; Perch - post; Time - dusk
en owl → post → dusk → moss
en owl, post, moss, dusk, fence, bird, wings
en barn owl, mossy post, dusk, soft light, wildlife, nature photography
en #owl #dusk #wildlife
en Tags: owl, dusk
en Labels: [owl, post]
en 1. owl⏎2. post⏎3. moss
en A) owl B) post C) moss
en [1] owl [2] post [3] moss
en - owl⏎- post
en * owl * post * moss
en <bird>owl</bird>
en <svg><path d="M0 0"/></svg>
en print('owl')
en def owl(): return "post"
en const owl = { perch: "post" };
en owl.land(post)
en SELECT * FROM birds
en bird=owl&perch=post
en ---⏎bird: owl⏎---
en [bird]⏎name = owl
en owl (0.98), post (0.91), moss (0.77)
en owl: 1, post: 1, moss: 3
en 1x owl, 1x post, 3x moss
en owl 98%, post 91%, moss 77%
en owl @ (12, 40), post @ (30, 80), moss @ (31, 90)
en "bird": "owl"
en | bird | perch |⏎| owl | post |
en When: dusk. Where: farm. Who: owl.
de Vogel: Eule. Ort: Pfahl. Zeit: Dämmerung.
fr chouette, poteau, mousse, crépuscule, aile, clôture
es Ave: lechuza. Lugar: poste. Hora: anochecer.
pl sowa, słupek, mech, zmierzch, skrzydła, płot
ru Птица: сова. Место: столб. Время: сумерки.
zh 鸟：仓鸮；地点：木桩；时间：黄昏
ja 鳥：フクロウ、場所：杭、時間：夕暮れ
ar الطائر: بومة، المكان: عمود، الوقت: الغسق
"""

LOOPS = """
en § ? ? ? ? ? ? ? ? ? ? ? ? ? ? ? ?
en § ,,,,,,,,,,,,,,,,,,,,,,,,,,,,
en § 33333333333333333333333333
en § 4 5 4 5 4 5 4 5 4 5 4 5 4 5 4 5 4 5 4 5
en § 0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0
en § 🦉🦉🦉🦉🦉🦉🦉🦉🦉
en § 🦉🌙🦉🌙🦉🌙🦉🌙🦉🌙🦉🌙
en § ★★★★★★★★★★★★★★★★★★★★★
en § -->-->-->-->-->-->-->-->-->-->-->-->
en § ``````````````````````````
en § $ $ $ $ $ $ $ $ $ $ $ $ $ $ $
en § owl owl owl owl owl owl owl owl
en § the owl the owl the owl the owl the owl the owl
en § mossy, mossy, mossy, mossy, mossy, mossy, mossy, mossy
en § The owl lands. The owl lands. The owl lands. The owl lands. The owl lands.
en § hoohoohoohoohoohoohoohoohoohoohoohoo
en § at dusk at dusk at dusk at dusk at dusk at dusk
en § and and and and and and and and and
en § 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28
en § 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95, 100, 105, 110, 115, 120, 125, 130
en § a b a b a b a b a b a b a b a b a b
de § Eule Eule Eule Eule Eule Eule Eule Eule
fr § la chouette la chouette la chouette la chouette la chouette
es § musgo musgo musgo musgo musgo musgo musgo
it § il palo il palo il palo il palo il palo il palo
pt § coruja coruja coruja coruja coruja coruja coruja
nl § uil uil uil uil uil uil uil uil uil
sv § uggla uggla uggla uggla uggla uggla uggla
fi § pöllö pöllö pöllö pöllö pöllö pöllö pöllö
pl § sowa sowa sowa sowa sowa sowa sowa sowa
cs § sova sova sova sova sova sova sova sova
hu § bagoly bagoly bagoly bagoly bagoly bagoly bagoly
ro § bufniță bufniță bufniță bufniță bufniță bufniță bufniță
ru § сова сова сова сова сова сова сова сова
uk § сова і сова і сова і сова і сова і сова і сова
zh § 苔藓苔藓苔藓苔藓苔藓苔藓苔藓苔藓苔藓苔藓
zh § 一只一只一只一只一只一只一只一只一只一只一只
ja § 杭杭杭杭杭杭杭杭杭杭杭杭杭杭
ko § 올빼미 올빼미 올빼미 올빼미 올빼미 올빼미 올빼미
ar § بومة بومة بومة بومة بومة بومة بومة
fa § جغد جغد جغد جغد جغد جغد جغد جغد
he § ינשוף ינשוף ינשוף ינשוף ינשוף ינשוף ינשוף
hi § उल्लू उल्लू उल्लू उल्लू उल्लू उल्लू उल्लू
th § นกนกนกนกนกนกนกนกนกนกนกนกนกนกนก
"""

CUT = """
en § Its wings are spread as it
en § Behind it, a field with tall
en § The sky above is
en A barn owl with its wings
en A barn owl with spread wings lands on a
en A barn owl, whose pale feathers are
en A barn owl lands on a fence post that is
en A barn owl on top of
en A barn owl flying over the
en A barn owl that seems to be
en A fence post covered in moss and
en A fence post, its top
en An owl, a post,
en An owl is perched on
en An owl and a
en At dusk, a barn owl
en At the edge of
en The owl's face is heart-shaped, while
en The owl looks directly into the
en The owl's talons are
en The post is one of
en Moss covers the post from its
en The light is soft because
en Feathers in white, gold and
en Its eyes are fixed on something to the
de Eine Schleiereule auf einem
de Eine Eule, deren
fr Une chouette sur un
fr Une chouette dont les
es Una lechuza sobre un
es Una lechuza cuyas
it Un barbagianni su un
pt Uma coruja num
nl Een uil op een
sv En uggla på en
da En ugle på en
no En ugle på en
fi Pöllö, joka
pl Sowa na
cs Sova na
ro O bufniță pe un
hu Egy bagoly egy
tr Bir baykuş, bir
id Seekor burung hantu di
vi Một con cú trên
zh 一只仓鸮落在
zh 长满苔藓的
ja 夕暮れの空を背景に
ko 이끼 낀 말뚝에 앉아 있는
ru Сова на
uk Сова на
bg Сова на
el Μια κουκουβάγια σε
ar بومة على
fa جغدی روی
he ינשוף על
hi एक उल्लू के
th นกแสกเกาะบน
"""

TOKENS = """
en §<|endoftext|>
en §<|eot_id|><|start_header_id|>user<|end_header_id|>
en §<|end_of_text|>
en §<|eom|>
en §<|vision_pad|>
en <|vision_bos|>§<|vision_eos|>
en <|IMAGE|>§
en <|VIDEO|>§
en §<|AUDIO|>
en §<image_token>
en <img_0>§
en §<frame_3>
en §</image>
en §</video>
en §<vision>
en §<image>./</image>
en §<|img|>
en §<bbox>[1, 2, 3, 4]</bbox>
en §<coord_12>
en §<x_12><y_40>
en §<region_3>
en §<SEG>
en §<DET>
en §<CAPTION>
en <MORE_DETAILED_CAPTION>§
en <OD>§
en §<tool_response>
en §<|tool_calls_section_begin|>
en §<｜tool▁calls▁begin｜>
en §<function_call>
en §<think>
en <thinking>owl</thinking>§
en §<|think|>
en §◁/think▷
en §<thoughts>
en §<scratchpad>
en §<|file_separator|>
en §<|fim_pad|>
en §<fim_prefix>
en §<|endofprompt|>
en §<|nothink|>
en §<|no_think|>
en §<begin_of_sentence>
en §<end_of_sentence>
en §<PAD>
en §[pad]
en §[eos]
en §[START]
en §[|assistant|]
en §<eos/>
en §&lt;|im_end|&gt;
en §&lt;/s&gt;
en §▁owl▁post
en §</s><s>
zh §<|im_start|>
de §</s>
fr §<end_of_turn>
ja §<eos>
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
