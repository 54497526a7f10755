package policy

import "strings"

// Words that mail programs put before the subject of a reply, in lower case, by language. Outlook, Thunderbird, Notes,
// GroupWise and webmailers use one of them in each language.
var replyWords = set(`re
	aw antwort
	antw beantw antwoord beantwoord
	sv svar besvarat besvaret
	vs vast vastaus
	rép réponse ref réf
	res resp respuesta resposta
	r rif risposta
	odp odpowiedź odpověď odpoveď odg odgovor
	vá válasz
	răsp răspuns
	ynt yanıt yan
	ответ на отв відповідь
	απ σχετ απάντηση
	bls
	atb
	ats
	تر رد
	השב תשובה
	回复 答复 回覆 答覆 回信
	返信
	회신 답장
	trả_lời
	ตอบ ตอบกลับ`)

// Words for what is forwarded.
var forwardWords = set(`fw fwd forward forwarded
	wg weitergeleitet weiterleitung
	doorst doorgestuurd
	vb vidarebefordrat
	vl välitetty
	videresendt vid
	tr transf transfert transféré transférer transferir
	rv reenv reenviado reenvío reenviar
	enc encaminhado
	i inoltra inoltro inoltrato
	pd podaj_dalej przekazane przekazano přeposláno preposlané proslijeđeno
	továbbítás továbbítva tov
	redirecționat redir
	ilt i̇lt i̇let ileti
	пересл переслано переадресовано
	πρθ προώθηση
	trs
	yml
	إعادة_توجيه تحويل
	הועבר
	转发 轉寄 轉發
	転送
	전달
	chuyển_tiếp
	ส่งต่อ`)

// gatewayTags are what gateways put before the subject of mail from outside.
var gatewayTags = set("ext extern external externe externo externa esterno externí ekstern external_email " +
	"external_sender 外部 spam spam? suspected_spam")

// recallWords are short words with which Outlook names a recall: what stands behind them is another mail's subject.
var recallWords = set("撤回 回收 회수")

// set makes a set of words; "_" is a blank within one.
func set(words string) map[string]bool {
	all := map[string]bool{}
	for _, w := range strings.Fields(words) {
		all[strings.ReplaceAll(w, "_", " ")] = true
	}
	return all
}
