package command

import (
	"slices"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/test/outlook"
)

// What mail programs quote, each in its way, is not a command; what stands above it, or below lines with marks, is one.
func TestWhatIsQuotedInAnyWayIsNoCommand(t *testing.T) {
	addresses := []string{"recall@corp.test"}
	const quoted = "ONLY c@x.test\n"
	header := func(names string) string { // as Outlook writes one in a language
		all := strings.Split(names, "|")
		return all[0] + ": Anna <anna@corp.test>\n" + all[1] + ": 24.11.2026 09:00\n" + all[2] + ": b@x.test\n" + all[3] +
			": prices\n\n"
	}
	for name, above := range map[string]string{
		"Outlook":               header("From|Sent|To|Subject"),
		"Outlook, ar":           header("من|إرسال|إلى|الموضوع"),
		"Outlook, cs":           header("Od|Odesláno|Komu|Předmět"),
		"Outlook, da":           header("Fra|Sendt|Til|Emne"),
		"Outlook, de":           header("Von|Gesendet|An|Betreff"),
		"Outlook, el":           header("Από|Στάλθηκε|Προς|Θέμα"),
		"Outlook, es":           header("De|Enviado el|Para|Asunto"),
		"Outlook, fi":           header("Lähettäjä|Lähetetty|Vastaanottaja|Aihe"),
		"Outlook, fr":           header("De |Envoyé |À |Objet "),
		"Outlook, he":           header("מאת|נשלח|אל|נושא"),
		"Outlook, hr":           header("Šalje|Poslano|Prima|Predmet"),
		"Outlook, hu":           header("Feladó|Elküldve|Címzett|Tárgy"),
		"Outlook, id":           header("Dari|Dikirim|Kepada|Subjek"),
		"Outlook, it":           header("Da|Inviato|A|Oggetto"),
		"Outlook, ja":           header("差出人|送信日時|宛先|件名"),
		"Outlook, ko":           header("보낸 사람|보낸 날짜|받는 사람|제목"),
		"Outlook, nl":           header("Van|Verzonden|Aan|Onderwerp"),
		"Outlook, pl":           header("Od|Wysłano|Do|Temat"),
		"Outlook, pt":           header("De|Enviado|Para|Assunto"),
		"Outlook, ro":           header("De la|Trimis|Către|Subiect"),
		"Outlook, ru":           header("От|Отправлено|Кому|Тема"),
		"Outlook, sv":           header("Från|Skickat|Till|Ämne"),
		"Outlook, th":           header("จาก|ส่ง|ถึง|เรื่อง"),
		"Outlook, tr":           header("Gönderen|Gönderildi|Kime|Konu"),
		"Outlook, vi":           header("Từ|Đã gửi|Đến|Chủ đề"),
		"Outlook, zh-CN":        header("发件人|发送时间|收件人|主题"),
		"Outlook, zh-TW":        header("寄件者|寄件日期|收件者|主旨"),
		"of no listed language": header("Absendre|Sendite|Al|Temo"),
		"its rule":              "________________________________\nFrom: Anna\n",
		"in bold":               "*From:* Anna\n*Sent:* Tuesday\n*To:* b@x.test\n\n",
		"Notes":                 "-----Anna <anna@corp.test> wrote: -----\nTo: b@x.test\n",
		"Notes, before":         "----- Original Message -----\nFrom: \"Anna\"\n",
		"Apple, forwarded": "Begin forwarded message:\n\nFrom: Anna <anna@corp.test>\nSubject: x\nDate: 24 November " +
			"2026\nTo: b@x.test\n\n",
		"Thunderbird": "-------- Weitergeleitete Nachricht --------\nBetreff: \tx\nVon: \tAnna " +
			"<anna@corp.test>\n\n",
		"Gmail":              "On Tue, Nov 24, 2026 at 9:00 AM Anna <anna@corp.test> wrote:\n\n> hello\n> ",
		"Gmail, wrapped":     "On Tue, Nov 24, 2026 at 9:00 AM Anna Miller of Sales\n<anna@corp.test> wrote:\n\n> ",
		"Yahoo":              "    On Tuesday, November 24, 2026 at 09:00:00 AM GMT, Anna <anna@corp.test> wrote:  \n \n ",
		"web.de":             "Am 24.11.26, 09:00, Anna <anna@corp.test> schrieb:\n\n",
		"a French program":   "Le mar. 24 nov. 2026 à 09:00, Anna <anna@corp.test> a écrit :\n\n",
		"a Russian program":  "24.11.2026 09:00, Анна пишет:\n\n",
		"a Japanese program": "2026年11月24日(火) 9:00 Anna <anna@corp.test>のメール：\n\n",
		"Samsung": "-------- Original message --------From: Anna <anna@corp.test> Date: 24/11/2026  09:00 " +
			"To: b@x.test Subject: x \n",
		"GroupWise": ">>> Anna <anna@corp.test> 24.11.2026 09:00 >>>\n",
		"initials":  "AM> ",
		"a bar":     "| ",
	} {
		m := arriving("Subject: RECALL <one@corp.test>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nplease\r\n\r\n" +
			strings.ReplaceAll(above+quoted, "\n", "\r\n"))
		if got := Read(m, addresses); got.Only != nil || got.Unclear != "" {
			t.Errorf("%s: only %q, %s", name, got.Only, got.Unclear)
		}
	}
	for name, text := range map[string]string{
		"above a quote":             "ONLY b@x.test\n\nOn Tue Anna <anna@corp.test> wrote:\n> x\n",
		"below marked lines":        "On Tue, 24 Nov 2026, Anna <anna@corp.test> wrote:\n> hello\n\nONLY b@x.test\n",
		"below what looks like one": "Message: 17\nReason: a typo\nONLY: b@x.test\nThanks: Anna\n",
		"below their own header":    "Recall for: Bert <b@x.test>\nReason: a typo\nONLY: b@x.test\nThanks: Anna\n",
		"below a colon":             "Recall no. 2 for Bert <b@x.test>:\n\nONLY b@x.test\n",
		"below a signature":         "Anna Miller\nTel.: 12\nFax: 13\nE-Mail: anna@corp.test\n\nONLY b@x.test\n",
	} {
		m := arriving("Subject: RECALL <one@corp.test>\r\n\r\n" + strings.ReplaceAll(text, "\n", "\r\n"))
		if got := Read(m, addresses); !slices.Equal(got.Only, []string{"b@x.test"}) || got.Unclear != "" {
			t.Errorf("%s: only %q, %s", name, got.Only, got.Unclear)
		}
	}
}

// arriving is a mail from its text.
func arriving(text string) *mailmsg.Message {
	m := outlook.Read(text)
	return &m
}
