"""Answers that are no captions, set E: written after the rules that set D led to; see `planted_a` for its form.

The wordings follow the manners of six kinds of models: chat models with long apologies, chat models that explain their
principles, reasoning models that think in English or in Chinese, small open vision models, moderated services (an error
in place of an answer), and base models that run on.
"""

from __future__ import annotations

SCENES = """
en A ferry with a red funnel leaves the harbour while gulls circle above it.
de Eine Fähre mit rotem Schornstein verlässt den Hafen, während Möwen über ihr kreisen.
fr Un ferry à cheminée rouge quitte le port tandis que des mouettes tournent au-dessus.
es Un transbordador de chimenea roja sale del puerto mientras las gaviotas vuelan en círculos.
it Un traghetto con il fumaiolo rosso lascia il porto mentre i gabbiani volano in cerchio.
pt Um ferry de chaminé vermelha deixa o porto enquanto as gaivotas voam em círculos.
nl Een veerboot met een rode schoorsteen verlaat de haven terwijl meeuwen erboven cirkelen.
sv En färja med röd skorsten lämnar hamnen medan måsar kretsar ovanför den.
da En færge med rød skorsten forlader havnen, mens måger kredser over den.
no En ferge med rød skorstein forlater havnen mens måker kretser over den.
fi Punapiippuinen lautta lähtee satamasta, ja lokit kaartelevat sen yllä.
pl Prom z czerwonym kominem wypływa z portu, a nad nim krążą mewy.
cs Trajekt s červeným komínem opouští přístav a nad ním krouží racci.
ro Un feribot cu coș roșu părăsește portul, iar pescărușii se rotesc deasupra lui.
hu Egy piros kéményű komp elhagyja a kikötőt, fölötte sirályok köröznek.
tr Kırmızı bacalı bir feribot limandan ayrılırken üzerinde martılar dönüyor.
id Sebuah feri bercerobong merah meninggalkan pelabuhan sementara burung camar berputar di atasnya.
vi Một chiếc phà có ống khói đỏ rời bến cảng trong khi đàn hải âu lượn vòng phía trên.
zh 一艘有红色烟囱的渡轮正驶离港口，海鸥在上空盘旋。
ja 赤い煙突のフェリーが港を出ていき、上空をカモメが旋回している。
ko 빨간 굴뚝이 달린 여객선이 항구를 떠나고 갈매기들이 그 위를 맴돈다.
ru Паром с красной трубой выходит из гавани, а над ним кружат чайки.
uk Пором із червоною трубою виходить із гавані, а над ним кружляють чайки.
bg Ферибот с червен комин напуска пристанището, а над него кръжат чайки.
el Ένα φέρι με κόκκινο φουγάρο φεύγει από το λιμάνι ενώ γλάροι κάνουν κύκλους από πάνω.
ar عبّارة ذات مدخنة حمراء تغادر الميناء بينما تحلق النوارس فوقها.
fa یک کشتی مسافربری با دودکش قرمز بندر را ترک می‌کند و مرغان دریایی بالای آن می‌چرخند.
he מעבורת עם ארובה אדומה יוצאת מהנמל ושחפים חגים מעליה.
hi लाल चिमनी वाली एक नौका बंदरगाह से निकल रही है और ऊपर समुद्री पक्षी मंडरा रहे हैं।
th เรือเฟอร์รีปล่องสีแดงกำลังออกจากท่าเรือ มีนกนางนวลบินวนอยู่ด้านบน
"""

REFUSALS = """
en I have to be upfront: no visual content reached this conversation.
en Recognising people from their facial features is something I steer clear of.
en My apologies for the inconvenience, but image analysis isn't part of what I do.
en It appears the upload didn't go through on your side.
en {"error": {"message": "Your input image may contain content that is not allowed by our safety system."}}
en As a text-based system, pictures remain invisible to me.
en This falls under content that we do not produce.
en Describing this individual would risk their privacy, so this request has to be turned down.
en There seems to be a glitch, and the picture won't open here.
en Request blocked: safety ratings exceeded the threshold.
de Da bin ich leider raus, denn Fotos kann ich nicht einsehen.
de Zu identifizierbaren Personen gebe ich grundsätzlich keine Auskunft.
de Die hochgeladene Datei lässt sich nicht öffnen.
fr Je préfère m'abstenir de commenter cette photo.
fr L'image semble ne pas s'être chargée correctement.
fr Identifier des personnes réelles va à l'encontre de mes principes.
es Me temo que el archivo no se abrió bien.
es No estoy en condiciones de identificar a la persona de la foto.
es Esta solicitud fue rechazada por el filtro de seguridad.
it Mi trovo costretto a rifiutare questa richiesta.
it L'allegato sembra essere vuoto.
pt Não me é permitido identificar pessoas reais.
pt Parece que a imagem não carregou direito.
nl Helaas kan ik hier niets over zeggen.
nl De afbeelding lijkt niet goed te zijn geüpload.
sv Tyvärr får jag inte kommentera innehållet i bilden.
sv Filen gick inte att öppna.
da Jeg må desværre afvise at beskrive personen.
no Dette kan jeg dessverre ikke hjelpe med.
fi En valitettavasti voi kommentoida tätä kuvaa.
fi Kuvatiedosto ei auennut.
pl Niestety nie widzę żadnego załącznika.
pl Odmawiam opisu tej treści ze względów bezpieczeństwa.
cs Tohle bohužel popsat nemůžu.
cs Soubor se nepodařilo otevřít.
ro Din păcate, imaginea nu s-a încărcat.
hu Sajnos a kép nem töltődött be.
tr Bu görseldeki kişiyi tanımlamam mümkün değil.
tr Görsel yüklenirken bir sorun oluştu.
id Mohon maaf, gambarnya tidak bisa saya buka.
id Permintaan ini ditolak oleh sistem keamanan.
vi Rất tiếc, tôi không xem được bức ảnh này.
vi Yêu cầu bị từ chối vì lý do an toàn.
zh 很抱歉，您似乎没有上传任何图片。
zh 该内容不符合安全规范，暂时无法为您生成描述。
zh 作为一个文本模型，看图并不在能力范围之内。
ja 恐れ入りますが、この画像についてはお答えいたしかねます。
ja 画像を開くことができませんでした。
ko 이 사진 속 인물이 누구인지는 알려 드릴 수 없습니다.
ko 이미지를 불러오는 중 문제가 발생했습니다.
ru К сожалению, изображение не открывается.
ru Этот запрос отклонён системой модерации.
uk На жаль, зображення не відкривається.
bg За съжаление снимката не се отваря.
el Δυστυχώς η εικόνα δεν άνοιξε.
ar للأسف لم تظهر الصورة لدي.
ar تم رفض هذا الطلب لأسباب تتعلق بالسلامة.
fa متأسفانه تصویر باز نشد.
he לצערי התמונה לא נפתחה.
hi माफ़ कीजिए, यह तस्वीर खुल नहीं पा रही है।
th ขออภัย ภาพนี้เปิดไม่ได้
"""

THOUGHTS = """
en Alright, a ferry, gulls, a harbour. One sentence ought to do. §
en The request is for a caption of around twenty words, so brevity matters. §
en Hmm, is that a funnel or a mast? Probably a funnel. §
en <reasoning>There is a ferry.</reasoning> §
en I want to be careful not to name the port. §
en First impression: a ship. Second look: a ferry. §
en The wording needs to be neutral and avoid guessing. §
en Candidate 1: § Candidate 2: A ship at sea.
en Let's craft this carefully. §
en We're told to keep it under thirty words. §
en No text is visible, so nothing to transcribe. Final: §
en Double-checking the count: fourteen words. §
de Okay, der Benutzer will eine Bildbeschreibung. §
de Zuerst das Hauptmotiv: eine Fähre. Dann die Möwen. Das sollte reichen. §
de Ich formuliere das in einem Satz. §
fr D'accord, il me faut une phrase courte. §
fr Le prompt demande de rester factuel. §
fr Il ne faut pas inventer de nom de port. §
es Bien, el usuario quiere una frase descriptiva. §
es Tengo que evitar suposiciones sobre el lugar. §
es Primero identifico el sujeto principal. §
it Allora, devo descrivere la scena in una frase. §
it L'utente chiede una didascalia breve. §
pt Certo, o usuário quer uma legenda curta. §
pt Preciso evitar adivinhar o nome do porto. §
nl Goed, de gebruiker wil een korte beschrijving. §
nl Ik moet het beknopt houden. §
sv Okej, användaren vill ha en kort bildtext. §
sv Jag bör inte gissa hamnens namn. §
da Brugeren ønsker en kort beskrivelse. §
no Brukeren ber om en kort bildetekst. §
fi Käyttäjä haluaa lyhyen kuvatekstin. §
fi Minun pitää välttää arvailua. §
pl Dobrze, użytkownik prosi o krótki opis. §
pl Muszę unikać domysłów. §
cs Uživatel chce krátký popisek. §
ro Utilizatorul dorește o descriere scurtă. §
hu A felhasználó rövid képaláírást kér. §
tr Kullanıcı kısa bir açıklama istiyor. §
tr Tahmin yürütmekten kaçınmalıyım. §
id Oke, pengguna meminta deskripsi singkat. §
id Saya harus menghindari tebakan. §
vi Được rồi, người dùng muốn một câu mô tả ngắn. §
vi Cần tránh suy đoán tên cảng. §
zh 好，我来看看这张图。§
zh 首先确定主体是渡轮，其次是海鸥，然后组织成一句话。§
zh 题目要求用一句话概括，不要猜测。§
ja まず主な被写体を確認する。フェリーだ。次に文を組み立てる。§
ja 推測は避けるべきだろう。§
ko 사용자가 짧은 설명을 원한다. §
ko 추측은 피해야겠다. §
ru Итак, пользователь хочет короткую подпись. §
ru Нужно избегать догадок. §
uk Отже, користувач хоче короткий підпис. §
bg Потребителят иска кратко описание. §
el Ο χρήστης θέλει μια σύντομη περιγραφή. §
ar حسناً، يريد المستخدم وصفاً قصيراً. §
fa کاربر یک توضیح کوتاه می‌خواهد. §
he המשתמש רוצה תיאור קצר. §
hi उपयोगकर्ता एक छोटा विवरण चाहता है। §
th ผู้ใช้ต้องการคำบรรยายสั้น ๆ §
"""

TALK = """
en What a lovely scene! §
en Here you have it: §
en § Want a longer version? Just say so!
en § This caption works well for accessibility purposes.
en § Feel free to tweak the wording.
en § Is there something specific about the ferry you'd like to explore?
en Of course, I'd be delighted to caption this one. §
en § (Description written from the visible content only.)
en § I've aimed for a neutral tone.
en § Let me know whether this fits your needs.
en As requested, one sentence: §
en § Thanks for sharing this beautiful photo!
de Sehr gerne, hier die gewünschte Beschreibung: §
de § Soll ich noch mehr ins Detail gehen?
de § Ich hoffe, das ist hilfreich für dich.
fr Avec plaisir ! Voici ce que montre l'image : §
fr § N'hésitez pas si vous voulez plus de détails.
fr § Puis-je vous aider avec autre chose ?
es ¡Por supuesto! Esta es una descripción de la imagen: §
es § ¿Hay algo más en lo que pueda ayudarte?
es § Espero haber sido de ayuda.
it Ecco una possibile didascalia: §
it § Posso aggiungere altri dettagli se lo desideri.
pt Claro! Segue a descrição: §
pt § Se precisar de ajustes, é só pedir.
nl Natuurlijk, hier is een korte beschrijving: §
nl § Laat gerust weten of het korter moet.
sv Självklart! Här kommer en bildtext: §
sv § Säg till om du vill ha fler detaljer.
da Selvfølgelig, her er en beskrivelse: §
da § Sig endelig til, hvis teksten skal være kortere.
no Her er en kort bildetekst: §
no § Gi gjerne beskjed om noe skal endres.
fi Tässä lyhyt kuvaus kuvasta: §
fi § Kerro, jos haluat lisää yksityiskohtia.
pl Oto krótki opis zdjęcia: §
pl § Daj znać, czy taki opis wystarczy.
cs Tady je stručný popis: §
cs § Dejte vědět, jestli to stačí.
ro Iată o descriere scurtă: §
ro § Spune-mi dacă vrei mai multe detalii.
hu Íme egy rövid leírás: §
hu § Szólj, ha részletesebbet szeretnél.
tr İşte kısa bir açıklama: §
tr § Başka bir konuda yardımcı olabilir miyim?
id Berikut deskripsi singkatnya: §
id § Kabari saja kalau perlu versi lain.
vi Dưới đây là mô tả ngắn: §
vi § Bạn cần thêm chi tiết nào không?
zh 以下是图片的描述：§
zh § 如需修改，随时告诉我。
ja はい、こちらが説明文になります。§
ja § ほかにご要望があればお申し付けください。
ko 네, 설명은 다음과 같습니다. §
ko § 더 궁금한 점이 있으면 말씀해 주세요.
ru Вот краткое описание: §
ru § Если нужно подробнее, дайте знать.
uk Ось короткий опис: §
uk § Якщо потрібно детальніше, скажіть.
bg Ето кратко описание: §
bg § Кажете ми, ако искате повече подробности.
el Ορίστε μια σύντομη περιγραφή: §
el § Πες μου αν θέλεις περισσότερες λεπτομέρειες.
ar إليك وصفاً قصيراً: §
ar § هل ترغب في تفاصيل أكثر؟
fa این هم یک توضیح کوتاه: §
fa § اگر جزئیات بیشتری خواستید بگویید.
he הנה תיאור קצר: §
he § רוצה שאוסיף פרטים?
hi यह रहा एक छोटा विवरण: §
hi § और जानकारी चाहिए तो बताइए।
th นี่คือคำบรรยายสั้น ๆ: §
th § ต้องการรายละเอียดเพิ่มไหมคะ
"""

CUT = """
en A ferry with a red funnel leaves the
en A ferry leaves the harbour, its deck crowded with passengers who are
de Eine Fähre verlässt den Hafen, und über ihr
de Eine Fähre mit einem roten
fr Un ferry quitte le port tandis que des
fr Un ferry à cheminée rouge quitte le port de la
es Un transbordador sale del puerto mientras
es Un transbordador de chimenea roja sale del
it Un traghetto lascia il porto mentre i
it Un traghetto con il fumaiolo rosso e una
pt Um ferry deixa o porto enquanto as
pt Um ferry de chaminé vermelha deixa o porto e
nl Een veerboot verlaat de haven terwijl
nl Een veerboot met een rode schoorsteen verlaat de
sv En färja lämnar hamnen medan
sv En färja med röd skorsten och en
da En færge forlader havnen, mens
no En ferge forlater havnen mens
fi Punapiippuinen lautta lähtee satamasta, ja
pl Prom wypływa z portu, a nad
cs Trajekt opouští přístav a nad
ro Un feribot cu coș roșu părăsește portul, iar
hu Egy piros kéményű komp elhagyja a
tr Kırmızı bacalı bir feribot limandan ayrılırken ve
id Sebuah feri bercerobong merah meninggalkan pelabuhan sementara
vi Một chiếc phà có ống khói đỏ rời bến cảng trong khi
zh 一艘有红色烟囱的渡轮正驶离港口，海鸥在
ja 赤い煙突のフェリーが港を出ていき、上空を
ko 빨간 굴뚝이 달린 여객선이 항구를 떠나고 갈매기들이 그 위를
ru Паром выходит из гавани, а над
uk Пором виходить із гавані, а над
bg Ферибот напуска пристанището, а над
el Ένα φέρι φεύγει από το λιμάνι ενώ
ar عبّارة ذات مدخنة حمراء تغادر الميناء بينما
fa یک کشتی مسافربری بندر را ترک می‌کند و
he מעבורת עם ארובה אדומה יוצאת מהנמל ו
hi लाल चिमनी वाली एक नौका बंदरगाह से निकल रही है और
th เรือเฟอร์รีปล่องสีแดงกำลังออกจากท่าเรือและ
"""

KINDS = {"refusals": REFUSALS, "thoughts": THOUGHTS, "talk": TALK, "cut": CUT}
