"""The words and sentences by which people ask us to stop, in fifteen languages, and those that
only sound like it.

Words are separated by "|" or a new line and compared as `replies.normal` leaves them. Sentences
are patterns, read word by word:

    stop/quit     either word               {texts}    any word of that set
    please?       it may be missing         ..         up to four other words
    do_not        two words, as one choice  mesaj*     any ending
    ^  $          a clause begins or ends there

A pattern's first choices make the example that a clerk is shown, so the plainest stands first.
The empty language holds what is said alike in several.
"""

Table = dict[str, str]  # language, as ISO 639-1, to words or patterns

# --- words that mean something by themselves -----------------------------------------------------

# 47 CFR 64.1200(a)(10), CTIA's and the carriers' lists, and what people use in their own language.
STOP_WORDS: Table = {
    "": "stop | stopp | stop sms | stopsms",
    "en": """
        stopall | stop all | unsubscribe | unsub | cancel | end | quit | revoke | optout | opt out
        remove | remove me | stop it | stop pls | stop please | please stop | pls stop
        stop texting me | stop texting | please stop texting me | stop messaging me | no more
        no more texts | no more messages | unsubscribe me | opt me out | cancel me | dnc
        stoptexting | stoptextingme | pleasestop | plsstop | stopplease | stop2end | unenroll
        take off | off list | take me off | get me off | remove number | delete number | opt all out
    """,
    "fr": """
        td | arret | arreter | arrêtez | désabonner | desabonner | désinscription | desinscription
        désabonnement | désinscrire | stop pub | pas de sms | pas de pub
    """,
    "es": """
        alto | parar | baja | darse de baja | darme de baja | dame de baja | dar de baja | cancelar
        no más | no mas | detener | cancelar suscripción | desuscribir | desuscribirme
        no molesten | no molestar | quítame | bórrame | quítenme | bórrenme
    """,
    "pt": """
        pare | sair | cancelar inscrição | cancelar inscricao | remover | parem | descadastrar
        descadastre | desinscrever | pare agora | para com isso | me remove | me remova
        sair da lista | cancelar | parar
    """,
    "de": """
        abmelden | abbestellen | aufhören | aufhoren | kündigen | abmeldung | austragen
        hör auf | hört auf | hören sie auf | schluss damit | schluss
    """,
    "it": "basta | fermare | disiscrivi | cancella | annulla | disiscrivimi | cancellami",
    "nl": "afmelden | uitschrijven | stoppen",
    "pl": "wypisz | rezygnuję | rezygnuje | koniec | wypisz mnie",
    "tr": "dur | iptal | durdur | çık | ret | iptal et | abonelikten çık",
    "ru": "стоп | отписаться | отмена | хватит | отписка | отпишите меня | не пишите | прекратите",
    "zh": """
        停止 | 退订 | 退訂 | 取消 | 取消订阅 | 停 | 取消訂閱 | 不要发了 | 别发了 | 请停止
        回T退订 | T退订 | 退订T | 退订回T
    """,
    "ja": "配信停止 | 解除 | ストップ | やめて | 停止してください | やめてください",
    "ko": "수신거부 | 중지 | 그만 | 거부 | 그만하세요",
    "hi": "रोकें | रुको | बंद करो | स्टॉप | band karo | बंद करें | बंद करो ये | मत भेजो",
    "ar": """
        توقف | إلغاء | الغاء | إيقاف | ايقاف | إلغاء الاشتراك | الغاء الاشتراك | أوقف | توقفوا
        كفى
    """,
}
MISSPELT: Table = {
    "": """
        sotp | stpo | stpp | tsop | sttop | dtop | srop | stopo | stoo | stip | stopt | st0p | 5top
    """,
    "en": """
        unsubcribe | unsuscribe | unsubscibe | unsubscrib | unsubsribe | unsubscribr | unscribe
        unsubscride | unsibscribe | unsubscrube | unsuscrib | unsbscribe | cancle | cancell
        qiut | revok | remve | opt uot | opt ou | opout
    """,
}
# Alone they stop; as one clause among others they may be about a bill, a table or a film.
WEAK_WORDS = """
    end | cancel | quit | remove | td | no more | dur | ret | alto | baja | sair | basta | koniec
    parar | cancelar | detener | kündigen | cancella | annulla | отмена | хватит | إلغاء | الغاء
    取消 | 解除 | no más | no mas | remover | pare | iptal | parem | arrêtez | çık | 停 | 그만
"""
HELP_WORDS: Table = {
    "en": "help | help me | i need help | need help",
    "": "info",
    "fr": "aide | aidez moi | j'ai besoin d'aide",
    "es": "ayuda | necesito ayuda | ayúdame",
    "de": "hilfe | ich brauche hilfe",
    "it": "aiuto",
    "pt": "ajuda | preciso de ajuda",
    "pl": "pomoc",
    "ru": "помощь",
    "zh": "帮助",
    "ja": "ヘルプ",
    "ko": "도움말",
}
# They restore what a person has ended, so they are few and none is guessed at.
START_WORDS: Table = {
    "en": """
        start | unstop | resume | yes start | restart | start again | start texting me again
        resubscribe | resubscribe me | re subscribe me
    """
}
JOIN_WORDS: Table = {"en": "join"}
YES_WORDS: Table = {
    "en": "yes | y | yes please | yes pls",
    "": "si | sí | ja",
    "es": "sí por favor",
    "fr": "oui | oui svp | oui s'il vous plaît",
    "de": "ja bitte",
    "pt": "sim | sim por favor",
    "it": "sì grazie",
    "nl": "ja graag",
    "pl": "tak",
    "tr": "evet",
    "ru": "да",
    "zh": "是 | 是的",
    "ja": "はい",
    "ko": "네 | 예",
    "hi": "हाँ | हां | जी हाँ",
    "ar": "نعم",
}
# Said around a word, they change nothing of what it asks for.
COURTESY = """
    please | pls | plz | plez | pleas | kindly | thanks | thx | ty | thank you | hi | hello | hey
    ok | okay | yes | yeah | now | just | sorry | sir | immediately | asap | right now
    por favor | gracias | hola | ya | s'il vous plaît | s'il te plaît | svp | stp | merci | bonjour
    bitte | danke | hallo | sofort | obrigado | obrigada | per favore | grazie | aub | alstublieft
    proszę | dziękuję | lütfen | пожалуйста | 请 | 請 | お願いします | कृपया | من فضلك | من فضلكم
"""

# --- sets of words -------------------------------------------------------------------------------

SETS = {
    "texts": "texts/text/txts/txt/msgs/msg/message/messages/sms/notifications/alerts/promos"
    "/promotions/ads/adverts/advertising/spam/marketing/solicitations/offers/crap/stuff/shit"
    "/updates/blasts/communications/communication"
    "/correspondence/newsletters",
    "texting": "texting/txting/textin/messaging/msging/contacting/bothering/harassing/spamming"
    "/bugging/annoying/pestering/soliciting/sending/sendin/send/blowing_up/messagin",
    "these": "these/this/those/the/all/any/my/your/ur/more/future/further/with/of/such/sending"
    "/receiving/getting/marketing/promotional/text/sms/stupid/fucking/damn/other",
    "dont": "dont/do_not/donot/dnt/never",
    "text": "text/txt/message/msg/contact/sms/bother",
    "data": "data/info/information/details/contact/contacts/records",
    "files": "list/lists/system/systems/record/records/database/marketing/mailing/contacts/files"
    "/file/directory/books",
    "not": "dont/do_not/donot/dnt/never/didnt/did_not/wont/will_not/cant/cannot/can_not/couldnt"
    "/doesnt/does_not/shouldnt/wouldnt/without/not",
    "end": "stop/unsubscribe/unsub/cancel/end/quit/remove/revoke/opt_out/optout/stopping",
    "unwanted": "dont_want/do_not_want/dont_wanna/no_longer_want/no_longer_wish/do_not_wish"
    "/dont_wish/dont_need/do_not_need/dont_like/not_want/never_want/didnt_want/dnt_want",
    "number": "number/num/phone/cell/mobile/contact/info/name/line/details/nbr",
    "you": "you/u/yall/they/guys/people/ya",
    "never": "never/didnt/did_not/dont_remember/do_not_remember",
    "sms_es": "mensajes/mensaje/sms/textos/publicidad/promociones/msj/msjs/mensajitos/cosas/spam",
    "sms_fr": "sms/messages/message/textos/texto/pubs/pub/publicité/publicités/promos/msg/spam",
    "sms_de": "sms/nachrichten/nachricht/werbung/werbe*/mitteilungen/texte/spam/angebote",
    "sms_pt": "mensagens/mensagem/sms/msg/msgs/promoções/propaganda/propagandas/torpedos/spam",
    "sms_it": "messaggi/messaggio/sms/pubblicità/spam/promozioni",
    "sms_nl": "berichten/berichtjes/sms/smsen/smsjes/reclame/appjes/spam/sturen",
}

# --- sentences -----------------------------------------------------------------------------------

# Complaints that hold a negation and yet ask for an end; looked for before OTHER_MEANINGS.
STOP_DESPITE_ALL: Table = {
    "en": """
        if you/u/yall/they dont/do_not/wont stop
        {you} just? wont/dont/never/cant/keep_not stop {texting}
        why wont/dont/cant {you} .. stop
        make it/this/these/all_this stop
        make them/him/her/people stop {texting}
        {you} still? didnt/did_not/havent/have_not stop/stopped
        cant/cannot/can_not/couldnt/unable_to unsubscribe/unsub/opt_out/optout
        when will/do/are/can {you}/i/these stop/stopping {texting}/getting
        stop you/u/them/yall from? {texting}
        put a/an stop/end to
        stop at once | stop for good
    """,
    "de": "hört/hören ihr/sie nicht auf mir",
}
MAY_STOP_DESPITE_ALL: Table = {
    "en": """
        stop by email/mail/text/sms/phone
        {you} never/wont/dont/cant stop $
        cant/cannot/can_not/couldnt stop getting/receiving
        you/u/they/yall keep/kept {texting}
        not/no_longer interested in your/these/this/it/any/anything/texts/receiving/getting/being
        these/your/the texts/messages wont/dont stop
    """,
}

# What only sounds like a stop; it is struck out before the sentences below are looked for.
OTHER_MEANINGS: Table = {
    "en": """
        {not} ever? {end}
        dont/do_not/didnt/never u_dare/you_dare/ever/please/even {end}
        {not} want/wanna/wish/going to? {end}
        {dont} take/get/remove/delete/drop me/us .. list/lists
        {dont} take/get/remove/delete/drop me/us
        {unwanted} to {end}
        why/when/where did/do/does/will i/you/we/he/she/they/it/your/u {end}
        why {end} $
        make/made/makes/making them/him/her/us/people stop
        bus/truck/pit/tram/train/subway/metro/rest/door/full/gas stop*
        non/one/first/last/next/top/final stop*
        a/an/the/my/our/which/what/every/each/between/short stop/stops/end
        stop by/in/over/off/sign/signs/light/lights/motion/watch/loss/go/shop/payment/at/when/while
        stop and/n shop/go/think/look/listen/smell/eat/get/grab/pick
        stop wasting/worrying/smoking/drinking/eating/loving/laughing/taking/serving/selling/asking
        stop stop sign
        stop to/2 the
        replied stop to
        {end} .. my/our/the/a/an order/orders/appointment/booking/reservation
        {end} .. my/our/the/a/an flight/delivery/claim/waitlist
        {end} of/from the? insurance/gift/magazine/warranty/protection/class/tour
        {end} .. subscription to/for the/my newspaper/magazine/paper/gym/box/journal/netflix/spotify
        take/get/remove/delete .. off/from the? waitlist/reservation/booking/guest_list/waiting_list
        remove me from .. class/waitlist/booking/reservation/order/team/shift
        what/whats does/is unsubscribe/optout/opt_out/stop mean
        optout/opt_out/unsubscribe policy/form/rate
        too many {texts} to
        wrong number of
        gave/typed/entered/put/wrote/have_the_old .. wrong number
        off the list price
        wait/waiting/guest/birthday/wish list
        end of/table/date
        no thanks necessary/needed/required
        interested in the/a/an/that/buying
        isnt working/right/fair/good/it/funny/enough/available/open/ready/here/true/bad/loading/*ed
        isnt mine/ours/dead/what/fun/cool/fresh/hot/cold/free/cheap/cute/easy/great/real/over/new
        stop in_the_name
    """,
    "es": """
        no/sin pares/paren/pare/parar/dejes/dejen/deje/dejar
        no quiero/quisiera dejar/parar/cancelar/darme
        no puedo/puede parar/dejar
    """,
    "fr": """
        ne? *arrete/*arretez/*arrêter pas/jamais
        n* pas me? désabonner/désinscrire
        ne veux/souhaite pas me? désabonner/désinscrire
        ne me? désabonnez/désinscrivez/supprimez/retirez/enlevez pas
        sans arrêt | bus ne *arrête
        plus de sms/messages comme
    """,
    "de": """
        nicht abmelden/aufhören/löschen/abbestellen/stoppen
        hör/hört/hören sie? nicht auf
        will/möchte mich nicht
        wann hören/hört
    """,
    "pt": """
        não pare/parem/para/sair/parar
        não quero/queria sair/cancelar/parar/me_descadastrar/que_parem
        não consigo parar
    """,
    "it": "non fermarti/fermatevi/smettere/smettete/smetti/cancellatemi/cancellarmi",
    "nl": "niet stoppen/afmelden/uitschrijven",
    "pl": "nie przestawaj/przestawajcie/wypisuj/wypisujcie/rezygnuję",
    "tr": "çıkarmayın/çıkmak_istemiyorum/silmeyin",
    "ru": "не отписывайте/отписывай/хочу_отписываться/удаляйте/останавливайтесь/прекращайте",
    "zh": "不要停 | 别停 | 不想退订 | 不要退订 | 别退订",
    "ja": "止めないで | やめないで | 解除しないで | 停止しないで",
    "ko": "멈추지마 | 중지하지마 | 그만두지마",
    "hi": "रुको मत | बंद मत करो",
    "ar": "لا تتوقف/تتوقفوا",
}

STOP_SENTENCES: Table = {
    "en": """
        stop/quit/cease/halt with? the? {texting}
        stop/quit/end/cancel/cease/discontinue/halt {these}? {these}? {these}? {texts}
        stop calling me/us/and/or/this
        stop all? this $
        stop getting/receiving {these}? {these}? {texts}/these/this/them
        how .. stop/end these/this/them/the_texts
        stop/quit now/already/everything/immediately/contact/today
        stop it/this/that now/please/already/immediately/right_now
        quit it $ | stop please/pls/plz
        stop/cancel/end/quit all/everything $
        stop/cancel/end/quit all? of it/this/them/these
        please/pls/plz/just/fucking/fuckin/effing/kindly/must stop/quit $
        can/could/will/would you/u/yall please/pls/plz/just? stop $
        i .. said/say/told/asked/telling/asking/saying .. stop $
        have_to/to say/tell .. stop $
        reply/txt/text/send/type/answer stop $
        stop to/2 cancel/end/quit/unsubscribe/optout/opt_out
        help stop | stop help | help me? stop {these} {texts}
        unsubscribe/unsub me/us/this/from/please/pls/now/immediately
        unsubscribe/unsub my/our {number}
        please/pls/plz/kindly/and unsubscribe/unsub/optout/opt_out
        want/like/need/wish/gotta/wanna/trying to? unsubscribe/unsub/opt_out/optout
        opt me/us/this out
        opting out
        opt_out/optout of/from/please/pls/this/now
        revoke/withdraw/rescind/retract my/any/all/the? consent/permission/authorization
        take/get/pull/drop me/us .. off/of
        take/get/pull my/this/our/that {number} .. off/out/from/of
        remove/delete/erase/drop/strike/wipe me/us
        remove/delete/erase/drop/lose/forget/strike my/this/our/that/the cell? {number}
        cancel me
        block me from
        to be removed/taken/unsubscribed/excluded
        cease/desist *ing
        remove/delete/take/drop/strike/erase/pull/clear .. me/us/number .. off/from/of .. {files}
        get/getting rid_of my/this number/info/contact
        {dont} {text} .. again/anymore/ever
        {dont} want/wanna/wish .. on/in/part_of your/this/the .. list/lists
        no/zero/without further/additional/more .. {texts}/contact
        delete/remove/erase/wipe all? my {data}
        off/outta/out_of your/this/ur/the/that/yr .. list/lists
        want off
        get off {these} list
        add/put .. to/on .. do_not_call/do_not_text/dnc/no_call/do_not_contact
        wrong/rong/worng number/num/nbr
        leave me/us .. alone
        {dont} ever? text/txt/message/msg/contact/sms/bother me/us/this/here/anymore/again
        {dont} ever? text/txt/message/msg/contact/call my phone/cell/number $
        {dont} call/contact/text/message/bother .. again/anymore
        {dont} send/keep_sending/sent me? any? more/further/additional? {these}? {texts}/these
        never text/message/contact/call .. again
        {unwanted} {these}? {these}? {these}? {texts}
        {unwanted} to? receive/get/hear/have/be_getting .. {texts}/these/this/them/anymore
        {unwanted} to? receive/get/hear .. from you/u/yall
        {unwanted} to? be contacted/texted/messaged
        {unwanted} to? be on your/this/that/the/any .. list/lists
        unenroll me | remove from .. list/lists
        no more texting/messaging/calls
        no more/further/additional of? {these}? {texts}/these
        ^ no {texts} please/pls/plz/thanks
        ^ no {texts} $
        enough with/of/w .. {texts} | enough {texts}
        turn/shut/switch off {these} {texts}
        cease and desist
        desist
        cease all? communication/communications/contact
        please/kindly discontinue
        discontinue {these} {texts}/service
        not my/his/her/their number any* .. remove/stop
    """,
    "es": """
        dejen/deje/deja/dejar/dejad de mandar*/enviar*/escribir*/molestar*/textear*/contactar*
        dejen/deje/deja de/con mandando/sus/los/tus {sms_es}
        paren/para/pare/parar de mandar*/enviar*/escribir*/molestar*
        paren/pare/basta/alto con/de/a/los? {sms_es}
        ya basta de {sms_es}
        no me/nos escrib*/mand*/env*/contact*/molest*/texte* más
        no me/nos escrib*/mand*/env*/contact*/texte* .. {sms_es}
        ya no me/nos? escrib*/mand*/envi*/contact*
        ya no quiero {sms_es}
        no mandes/manden/envíen/envíes/escriban/escribas más
        no me/nos vuelvan/vuelva a escribir/contactar/mandar*/enviar*/molestar
        no más/mas {sms_es}
        no quiero/deseo .. mensajes/sms/publicidad/textos
        no manden/mandes/envíen/escriban .. más
        no quiero/deseo/quisiera/necesito más/mas/recibir/sus/estos .. {sms_es}
        no quiero/deseo que me escriban/manden/envíen/contacten
        no quiero/deseo recibir más/mas/nada/esto
        dar*/dame/denme/deme/dé/darnos me? de baja
        denme/dame/deme baja
        cancelar/cancele/cancelen/anular mi/la/esta? suscripción
        elimin*/borr*/quit*/saqu*/sac* me? de .. lista/base/registro
        elimínenme/elimíname/bórrenme/bórrame/quítenme/quítame/sáquenme/sáqueme/sácame de/ya
        elimin*/borr*/quit*/saqu* .. mi/este/el? número
        número/telefono/teléfono equivocado/incorrecto/erroneo
        equivoc* de/el número
        déj*/dejenme/dejame/déjenme en paz
        dejen/deja de/ya molestar
    """,
    "fr": """
        arrêtez/arrête/arreter/cessez/cesse/stoppez de me/nous? envoyer/écrire/contacter/déranger
        arrêtez/arrête/arreter/cessez/cesse/stoppez de/d* m*/*ecrire/*envoyer/*ecrire/*embeter
        arrêtez/arrête/arreter/cessez/stoppez/stop avec/aux/les/vos/tous/ces/vos? {sms_fr}
        plus de {sms_fr} svp/merci/stp/s'il/de_votre
        plus de {sms_fr} $
        ^ plus de {sms_fr}
        plus aucun/jamais {sms_fr}
        ne plus me/nous/*envoyer/*ecrire/contacter/recevoir
        stop à/avec/aux vos/les/ces? .. {sms_fr}
        enlev*/retir*/supprim*/effac* .. mon/ce/notre numéro
        arrêtez/cessez vos/les/ces/tous .. {sms_fr}
        ne m*/me/nous *envoyez/*envoie/*ecrivez/*ecris/contactez/contacte/texte* plus
        menvoyez/mecrivez/contactez/nenvoyez/mécris/menvoie plus
        ne? veux/souhaite/désire/voudrais plus .. {sms_fr}
        ne? veux/souhaite/désire/voudrais plus recevoir/être
        jveux/veux plus .. {sms_fr}
        désabonnez/désinscrivez/désabonne/désinscris/désabonner/désinscrire moi
        veuillez/souhaite/veux/voudrais/merci_de/faut me/nous désabonner/désinscrire/désinscrire
        retirez/enlevez/supprimez/effacez/rayez/retire/enlève/supprime moi
        retir*/enlev*/supprim*/effac*/ôtez mon/ce/notre numéro
        faux/mauvais/erreur de? numéro
        tromp* de numéro
        laiss* moi/nous .. tranquille/paix
        foutez/fous/fichez moi la paix
        retire* mon consentement
    """,
    "de": """
        keine/kein weitere/weiteren/mehr? {sms_de} bitte
        keine/kein weitere/weiteren/mehr? {sms_de} $
        ^ bitte? keine weitere/weiteren? {sms_de}
        keine {sms_de} .. mehr
        will/möchte/wünsche keine .. {sms_de} mehr
        will/möchte das/nichts nicht? mehr
        hören/hört/hör/höre sie? .. auf mir/uns/mich/damit/zu/mit
        schreib*/schick*/send*/kontaktier*/text* .. nicht/nichts/keine .. mehr
        nicht mehr schreiben/anschreiben/kontaktieren/schicken
        melden/meldet/melde .. mich/uns .. ab
        möchte/will/würde mich/uns .. abmelden/austragen/abbestellen
        bitte um abmeldung
        lösch* sie? bitte? meine/diese/unsere nummer/daten/handynummer/telefonnummer
        meine/diese nummer .. löschen/entfernen/austragen/streichen
        nehm*/nimm*/streich*/entfern*/trag*/lösch* sie? bitte? mich/uns .. liste/verteiler/aus
        nehm*/nimm*/streich*/entfern*/trag* .. nummer .. aus/von/raus/verteiler/liste
        möchte/will keine/nicht_mehr .. werbung/nachrichten/sms/kontaktiert
        aufhören/hören_auf zu/mit .. schreiben/schicken/senden/sms/nachrichten
        falsche nummer/telefonnummer/handynummer
        nummer ist falsch
        lassen/lasst/lass sie? mich/uns .. ruhe
        widerruf* .. einwilligung/zustimmung
        stopp/stop mit .. {sms_de}
        stoppen/stoppt sie? .. {sms_de}
    """,
    "pt": """
        pare/parem/para/parar/chega de me? mandar/enviar/escrever/incomodar/mandarem/encher/ligar
        pare/parem/chega/basta com/de/as/essas? {sms_pt}
        parem/pare de me/nos
        cancelar/cancelem/cancela/cancele minha/a? inscrição/assinatura_de_sms
        me descadastr* | descadastr* me/meu/por_favor
        quero/desejo/gostaria me? descadastrar/sair_da_lista
        não quero/desejo/gostaria/preciso mais/de? receber/mensagens/sms/msg
        não quero/desejo/gostaria de? receber/mais .. mais/mensagens/sms/msg
        não me mand*/envi*/escrev*/perturb*/contat*/incomod* mais
        não mand*/envi*/escrev* mais .. {sms_pt}/nada
        não mand*/envi*/escrev* mais $
        sem mais {sms_pt}
        sair dessa/desta/da/de lista/grupo/cadastro
        tir*/remov*/exclu*/apag* .. número/contato
        não mand*/envi*/escrev* mais
        me tir*/remov*/exclu*/retir* .. lista/cadastro/daí/disso
        tir*/remov*/exclu*/apag*/delet*/retir* o? meu/este/esse número
        tir*/remov*/exclu*/retir* me .. lista/cadastro
        número errado/errada
        me deix* em paz
        deix*/deixem me? em paz
    """,
    "it": """
        basta/stop/niente con/ai/i/più? {sms_it}
        smett* di scriver*/mandar*/inviar*/contattar*/disturbar*/messaggiar*
        non voglio/desidero/vogliamo più ricevere/essere/{sms_it}
        non voglio/desidero/vogliamo più $
        non mi/ci scriv*/mandat*/inviat*/contattat* più/messaggi
        non voglio/desidero .. {sms_it}
        non mandatemi/scrivetemi/inviatemi/contattatemi/mandarmi/scrivermi più/altri/altro
        cancell*/toglie*/togli*/rimuov*/elimin* .. lista/elenco/rubrica
        disiscriv*/cancellatemi/rimuovetemi/toglietemi/cancellami
        cancell*/toglie*/rimuov*/elimin* il? mio numero
        non scriv*/mandat*/contattat*/inviat* più
        numero sbagliato/errato
        sbagliato numero
        lasci* in pace
    """,
    "nl": """
        stop met/de/alle? {sms_nl}
        stop met/de/alle .. {sms_nl}
        ^ geen {sms_nl} $
        geen {sms_nl} meer
        wil/wens geen .. {sms_nl}
        wil/wens .. niet_meer/geen .. ontvangen/krijgen
        stuur/schrijf/app/sms mij/me .. niet/geen .. meer
        haal/verwijder/schrap mij/me .. lijst/bestand
        verwijder/wis/schrap mijn/dit nummer
        verkeerd/verkeerde/fout nummer
        laat me/mij/ons met rust
        schrijf mij/me uit | meld mij/me af | wil mij/me .. afmelden/uitschrijven
    """,
    "pl": """
        proszę nie/o pisać/wysyłać/kontaktować/wypisanie
        nie pisz*/wysyłaj*/kontaktuj* .. więcej/do_mnie
        przesta* .. pisać/wysyłać
        nie chcę/życzę .. wiadomości/smsów/sms
        usu* .. mój/ten numer | usu* mnie
        wypisz*/wypisać mnie
        zły/nie_ten/błędny numer | ^ pomyłka $ | ^ nie pisać/pisz/piszcie
        nie chcę smsów
        daj* mi spokój
        rezygnuję z
    """,
    "tr": """
        mesaj*/sms* atma* | mesaj*/sms* gönderme* | mesaj*/sms* yazma* | mesaj*/sms* yollama*
        mesaj*/sms* .. istemiyor* | mesaj*/sms* almak istemiyor*
        beni/bizi/numaramı .. listeden/listenizden .. çıkar*/sil*
        numaramı/numaram silin/sil/çıkarın/siliniz
        yanlış numara*
        rahat bırak*
        beni çıkar* | çıkarın beni
        aboneli* iptal | üyeli* iptal
        bana yazma*
    """,
    "ru": """
        отпишите/отпиши меня | отпишите
        хватит .. писать/слать/присылать/спам*
        не пиши*/шли*/присылай*/отправляй*/беспокой* .. больше/мне
        больше не пиши*/шли*/присылай*/отправляй*/беспокой*
        не хочу .. получать/сообщени*/смс
        прекрати* .. писать/слать/присылать/рассылк*
        удали* .. номер | удали*/убери*/исключи* .. меня
        ошиблись/ошибся номером | неправильный/неверный номер | не_тот номер
        убер* .. номер
        отстань* | оставьте/оставь .. покое
        стоп рассылк*/смс
    """,
    "zh": """
        ^ 请/請/我要/我想/帮我/麻烦? 退订/退訂/取消订阅/取消訂閱 $
        不要/别/別/勿 再 .. 发/發/傳/传/联系/聯絡/打扰/骚扰
        不要/别/別/勿 给/給/跟/傳/发/發 我? .. 短信/簡訊/讯息/訊息/消息/信息
        不要/别/別 发了/發了/传了
        不要/别/別 打扰/骚扰/騷擾
        不想/不要/不愿 再? .. 收到
        号码错/號碼錯/打错了/发错人/發錯人
        从/從/把 .. 删除/移除/刪除
        停止 .. 发送/發送/短信/訊息
        删除我的/刪除我的 号码/電話/号碼
    """,
    "ja": """
        配信 を? 停止 して/お願い/希望/を
        送ら/連絡し/送信し ないで
        メッセージ/メール/sms .. いらない/不要
        送る/送信/連絡/配信 の/を? を? やめ/止め
        メッセージ/メール/ショートメール/sms を/は? 止め/やめ/停止
        リスト/名簿 から .. 削除/外
        番号 を/が/は 違/間違/削除
        間違い/間違え 電話/番号
        ^ 解除 お願い/して/を/希望
        登録 を? 解除
    """,
    "ko": """
        수신거부 해/부탁/합/요청/처리
        그만 보내/하세요/해주세요/연락
        보내지 마/말 | 연락하지 마/말
        받고 싶지않 | 받기 싫
        번호 를? 삭제/지워/빼
        번호 .. 잘못 | 잘못 보내
        명단에서/목록에서 빼/삭제
        구독 취소/해지
    """,
    "hi": """
        मैसेज/संदेश/एसएमएस/मेसेज भेजना/करना बंद
        बंद करो/करें/कीजिए मैसेज/संदेश
        मैसेज/संदेश/एसएमएस/मेसेज .. न/मत/ना भेज*/कर*
        मैसेज/संदेश/एसएमएस .. नहीं चाहिए/चाहता/चाहती
        मेरा/यह नंबर .. हटा*/डिलीट/निकाल*
        गलत/ग़लत/रॉन्ग नंबर
        message/msg/sms mat/na bhej*/karo
        band karo/kro .. message*/msg*/sms
        message*/msg*/sms band karo/kro
        galat number
        परेशान मत
    """,
    "ar": """
        أوقف*/اوقف* .. *رسائل*
        توقف* عن *رسال*/مراسل*
        ^ لا ترسل* $
        لا ترسل* .. *رسائل*/لي/مرة
        لا أريد/اريد/أرغب .. *رسائل*
        لا تراسل*
        إلغاء/الغاء/ألغوا *اشتراك*/*رسائل*
        احذف*/امسح*/أزيلوا .. رقمي
        رقم/الرقم خطأ/خاطئ/غلط
        اترك*/دعو* وشأني
        كفى رسائل
    """,
}

# Suppress first and ask: a reasonable person might mean the messages.
MAY_BE_STOPS: Table = {
    "en": """
        not/no_longer/un/arent/aint/never interested/intrested/intersted/intrested
        ^ nah/no/nope? no/nah/nope thanks/thx/ty/thank_you/thankyou/thank_u/tks
        unsubscribe | unsub | optout | opt_out
        stop it/this
        help me stop $
        cancel this/it $
        cancel this/it please/pls/now
        want/like/wish/need/can_i/i/we/wanna/how_do_i to? cancel please/pls $
        want/like/wish/need/can_i/wanna/how_do_i to? cancel $
        stop/end/quit/cancel my/this? subscription/enrollment
        cancel my? subscription/membership/account/service/sub/enrollment
        wrong person/guy/man/woman/lady/dude/girl/contact
        not the right person/guy/number
        ^ this isnt/is_not/aint * $
        doesnt/does_not/dont have/use/own this/that number/phone
        isnt/is_not/not his/her/my/their/mikes/your number/phone
        this_is not? his/her/their/a/the work/business/company/office/school phone/number/line
        this_is a? landline
        spam $ | this_is/its/is/thats/just spam
        report/reporting/reported .. spam/fcc/ftc/you/police/fraud
        {never} sign/signed/signing up $
        {never} sign/signed/signing up for/to/with this/these/it/any/that/your/you
        {never} consent/consented/agree/agreed/authorize/authorized/subscribe/subscribed to
        {never} consent/agree/subscribe/consented/agreed/subscribed $
        {never} opt/opted in
        {never}/dont_recall .. sign/signed/signing/subscribing/opting/agreeing up/to
        stop/quit/cease *ing .. me/us/my/phone/number
        stop/cease this/these/your
        sick/tired of {these}? {texts} | fed_up .. {texts}
        these/those/texts/messages .. annoying/spam/unwanted/unsolicited
        unsolicited | unwanted {texts} | {dont} send .. {texts}
        nobody/no_one/noone/no_such .. by_that_name/named
        not my thing/cup_of_tea
        report/reporting/reported you/u/ur/this_number/number
        im_good/were_good thanks/thx/ty/thank_you
        {texts} .. not wanted/welcome
        how/where .. you/u/yall/they get/got/have/find/obtain .. number
        who/how .. gave/give/given .. number
        go away $ | go away please/now | get lost $
        fuck/f/piss/bugger/screw off/you/u/yourself
        ^ blocked $ | block/blocked/blocking you/this/u/ur
        ^ enough $ | enough already | had_enough $ | enough is enough
        too many {texts}/of_these
        text/texting/message/messages me? too much/often
        why .. {you} .. texting/messaging/sending/contacting/txting
        why am/do i/we getting/get/receiving/receive these/this/texts/messages/so_many/your/them
        fewer/less {texts} | get/send/receive fewer/less
        ^ pause $ | pause .. {texts}
        ^ im/i_am done/out $ | count me out | want out
        rather not .. get/receive/be
        not for me
        dont/do_not disturb
        ^ annoying $ | youre/you_are/ur so? annoying
        harassment | will/gonna/going_to sue | sue you | my lawyer/attorney | hard pass
        enough of this/these/it
        number wrong
        {dont} send/text/txt/message/msg $ | {dont} send me nothing/anything
        ^ no texting/txting/contact
        hes/shes/he_is/she_is/is/was deceased | hes/shes/he_is/she_is dead
        he/she/husband/wife/mother/mom/mum/father/dad/son/daughter/brother/sister .. passed away
        {unwanted} this/these/it/them $
        stop $ | stahp | stap
        ^ stop lol/haha/plss/bro/man/dude/omg/ugh/ffs/jeez/guys/yall/you
        stop start
        ^ i/id/ill cancel/quit $
    """,
    "es": """
        no me/nos? interesa | no estoy interesad*
        ^ no muchas? gracias
        doy/dar/darse de/me_de baja
        ^ ya? basta $
        persona equivocada
        es spam | ^ spam $
        quién/cómo_consiguieron/cómo_tienen/cómo_obtuvieron .. mi número
        quién les/te/le dio .. número | de dónde sacaron
        demasiados mensajes
        ^ ya no $
    """,
    "fr": """
        pas/plus intéressé/intéressée/intéressés
        *m*interesse pas/plus
        ^ non merci
        désabonner/désinscrire/désabonne/désabonnement
        plus rien recevoir | pas de {sms_fr}
        ça suffit | ^ assez $
        pas la bonne personne | mauvaise personne
        est du? spam
        donné mon numéro | où/comment avez/avezvous .. mon_numéro/numéro
        pas/plus intéressé*/interesser
        trop de {sms_fr}
    """,
    "de": """
        kein/keinerlei interesse | nicht/nicht_mehr interessiert/interessant
        wer/woher .. meine nummer
        ^ nein danke
        mich/man/uns abmelden/abbestellen
        es/das/jetzt reicht
        ist/nur spam | ^ spam $
        nichts/nix mehr .. von euch/ihnen/dir hören
        ich_bin nicht frau/herr | falsche person | falscher ansprechpartner
        ^ bitte löschen $
        woher haben/habt .. nummer
        zu viele {sms_de}
    """,
    "pt": """
        não estou/to/tô mais? interessad*
        quem .. meu número
        não tenho/há interesse | não estou interessad*/mais_interessad* | não me interessa
        ^ não quero $ | ^ não quero mais $ | ^ não quero mais? receber $ | chega disso | ^ sai $
        ^ não muito? obrigad*
        faço/fazer/faz para/pra sair/cancelar
        ^ chega $ | ^ já chega
        é/isso_é spam
        pessoa errada
        quem .. deu .. número
    """,
    "it": """
        non mi/ci interessa/interessano | non sono interessat*
        ^ no grazie
        mi cancello/disiscrivo
        chi .. mio numero
        è spam | ^ spam $ | persona sbagliata
    """,
    "nl": """
        geen interesse | niet geïnteresseerd | ^ nee bedankt/dank_je/dank_u/dankje
        is spam | hoe .. aan_mijn nummer
    """,
    "pl": """
        nie jestem zainteresowan* | ^ nie dziękuję/dzięki | to spam | jak się wypisać
        skąd .. mój_numer/numer
    """,
    "tr": "ilgilenmiyor* | ilgimi çekmiyor | ^ hayır teşekkür* | bu spam | istemiyorum $",
    "ru": """
        не интересует/интересно/интересны | ^ нет спасибо | отписаться | это спам
        откуда .. номер | ^ не надо
    """,
    "zh": """
        ^ 不需要 $ | 没兴趣/沒興趣/不感兴趣/不感興趣 | 怎么/怎麼/如何 .. 退订/退訂/取消订阅
        ^ 不用了 | 不用谢谢 | 垃圾短信 | 退订/退訂/取消订阅/取消訂閱
    """,
    "ja": """
        興味 は/が? ない/ありません | ^ 結構です | ^ いりません | 不要です | ^ いらない
        配信停止 | 迷惑 | もう .. いりません/結構/不要 | いりません | 必要ありません
    """,
    "ko": "관심 이? 없 | ^ 괜찮습니다/괜찮아요/됐어요/필요없 | 수신거부 | 스팸",
    "hi": "दिलचस्पी/रुचि/इंटरेस्ट नहीं | नहीं चाहिए $ | नहीं धन्यवाद",
    "ar": "لست/غير/ليس مهتم* | ^ لا شكرا | لا يهمني | رسائل مزعجة",
}

# --- reactions that a phone sends as a text ------------------------------------------------------

# What stands before the quoted message; emoji are already gone.
TAPBACKS: Table = {
    "en": """
        liked | loved | disliked | laughed at | emphasized | emphasised | questioned | to
        reacted to | reacted .. to | removed a/an/the .. from
    """,
    "es": "le gustó/encantó | no le gustó | se rió/rio de | reaccionó .. a | enfatizó",
    "fr": "a aimé/adoré/souligné | a ri de | *a pas aimé | a réagi .. à | a exclamé",
    "de": "gefällt | gefällt nicht | liebt | lacht/lachte über | reagierte .. auf",
    "pt": "gostou/riu de | não gostou de | amou | adorou | reagiu .. a | curtiu",
    "it": "ha messo .. a | piace | ha riso per/a/di | ha reagito .. a | ha .. a",
    "nl": "vond leuk | reageerde .. op | vindt .. leuk",
    "pl": "polubi* | zareagowa* .. na",
    "tr": "beğendi | tepki verdi",
    "ru": "понравилось | отреагировал*",
}
