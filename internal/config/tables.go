package config

import (
	"time"

	"github.com/recall-milter/recall-milter/policy"
)

// Log is the table [log].
type Log struct {
	Level  string `toml:"level" allowed:"debug,info,warn,error"`
	Format string `toml:"format" allowed:"text,json"`
}

// Redis is the table [redis].
type Redis struct {
	Addresses      []string `toml:"addresses"`
	SentinelMaster string   `toml:"sentinel_master"`
	Username       string   `toml:"username"`
	PasswordFile   string   `toml:"password_file"`
	DB             int      `toml:"db"`
	Prefix         string   `toml:"prefix"`
	Durability     string   `toml:"durability" allowed:"strict,assumed,relaxed"`
	Replicas       int      `toml:"replicas"`
	TLS            TLS      `toml:"tls"`
}

// TLS is how Redis is reached safely.
type TLS struct {
	Enabled    bool   `toml:"enabled"`
	CAFile     string `toml:"ca_file"`
	ServerName string `toml:"server_name"`
}

// Seal is the table [seal].
type Seal struct {
	KeyFile string `toml:"key_file" reload:"yes"`
}

// Outbound is the table [outbound]: a session is outbound when any of it holds.
type Outbound struct {
	Authenticated bool     `toml:"authenticated" reload:"yes"`
	Networks      []string `toml:"networks" reload:"yes"`
	DaemonNames   []string `toml:"daemon_names" reload:"yes"`
	LocalDomains  []string `toml:"local_domains"` // of the site's own people
}

// Hold is the table [hold].
type Hold struct {
	Grace         Duration   `toml:"grace" reload:"yes"`
	MaxGrace      Duration   `toml:"max_grace" reload:"yes"`
	MaxSize       Size       `toml:"max_size"`
	RequestHeader string     `toml:"request_header" reload:"yes"`
	Wish          string     `toml:"wish" allowed:"longer,any,ignore" reload:"yes"`
	OwnGrace      []Duration `toml:"own_grace" reload:"yes"` // least and most that people may choose; empty: they may not
	Remember      Duration   `toml:"remember" reload:"yes"`  // who has written to whom; 0: nothing
	Zone          string     `toml:"zone" reload:"yes"`      // of the rules; "": the gateway's own
	Holidays      Dates      `toml:"holidays" reload:"yes"`  // so
	Rules         []Rule     `toml:"rule" reload:"yes"`
}

// Own is the range in which people may choose their own grace; nil: they may not.
func (h *Hold) Own() *policy.OwnGrace {
	if len(h.OwnGrace) != 2 {
		return nil
	}
	return &policy.OwnGrace{Least: time.Duration(h.OwnGrace[0]), Most: time.Duration(h.OwnGrace[1])}
}

// Rule is one [[hold.rule]]: every condition named must match.
type Rule struct {
	Name          string            `toml:"name"`
	Grace         *Grace            `toml:"grace"` // nil: hold.grace
	Sender        []string          `toml:"sender"`
	Recipient     []string          `toml:"recipient"`
	AllRecipients []string          `toml:"all_recipients"`
	Login         []string          `toml:"login"`
	Client        []string          `toml:"client"`
	DaemonName    []string          `toml:"daemon_name"`
	Header        map[string]string `toml:"header"`
	Size          SizeBound         `toml:"size"`
	Recipients    CountBound        `toml:"recipients"`       // envelope recipients
	External      CountBound        `toml:"external_domains"` // of recipients, outside outbound.local_domains
	Subject       []string          `toml:"subject"`
	FirstContact  *bool             `toml:"first_contact"`
	Lookalike     *bool             `toml:"lookalike"`
	Attachment    []string          `toml:"attachment"` // names and media types
	Time          Windows           `toml:"time"`
	Zone          string            `toml:"zone"`                             // of time and grace; "": hold.zone
	Holidays      Dates             `toml:"holidays"`                         // nil: hold.holidays
	Wish          string            `toml:"wish" allowed:"longer,any,ignore"` // "": hold.wish
	Delegates     []string          `toml:"delegates"`
	Recall        *bool             `toml:"recall"`   // nil: true
	Language      string            `toml:"language"` // of mails to the sender; empty: by recall.languages
	Reason        Texts             `toml:"reason"`   // why its mail waits, for the sender
	Notice        *bool             `toml:"notice"`   // nil: recall.notice
	// Reports says of which outcomes of recalls the sender hears; "": recall.reports says it.
	Reports string `toml:"reports" allowed:"always,failures,never"`
}

// Release is the table [release].
type Release struct {
	SMTP    string `toml:"smtp"`
	OwnSMTP string `toml:"own_smtp"` // empty: SMTP
	// SMTPByDaemon has other ports for the mail of services by their milter_macro_daemon_name.
	SMTPByDaemon map[string]string `toml:"smtp_by_daemon"`
	Concurrency  int               `toml:"concurrency"`
	Retry        Retry             `toml:"retry"`
	CancelLock   bool              `toml:"cancel_lock"`
	Received     string            `toml:"received" allowed:"short,full,none"`
}

// Retry says how long to wait between attempts, and until when.
type Retry struct {
	First       Duration `toml:"first"`
	Max         Duration `toml:"max"`
	GiveUpAfter Duration `toml:"give_up_after"`
}

// Recall is the table [recall].
type Recall struct {
	Addresses       []string `toml:"addresses"`
	Outlook         bool     `toml:"outlook"`
	SubjectPrefixes []string `toml:"subject_prefixes"`
	PersonalLogins  []string `toml:"personal_logins"` // one person each
	Supersedes      bool     `toml:"supersedes"`
	Reports         string   `toml:"reports" allowed:"always,failures,never"`
	Notice          string   `toml:"notice" allowed:"never,always"`
	Retention       Duration `toml:"retention"`
	AfterRelease    string   `toml:"after_release" allowed:"request,report"`
	RequestDomains  []string `toml:"request_domains"`
	AnswerWithin    Duration `toml:"answer_within"`
	Rate            Rate     `toml:"rate"`
	// Languages of mails to senders by the domain of their address; others get the first of web.languages.
	Languages map[string]string `toml:"languages"`
}

// Inbound is the table [inbound].
type Inbound struct {
	AuthservID string        `toml:"authserv_id" reload:"yes"` // empty: the MTA's own host name
	Verify     []string      `toml:"verify" allowed:"dkim,spf,dmarc" reload:"yes"`
	Trust      []string      `toml:"trust" reload:"yes"`
	ARCSealers []string      `toml:"arc_sealers" reload:"yes"`
	DNS        string        `toml:"dns" reload:"yes"`
	Lists      []string      `toml:"lists" reload:"yes"` // addresses of mailing lists
	Remember   Duration      `toml:"remember"`
	Recall     InboundRecall `toml:"recall" reload:"yes"`
	Mailbox    Mailbox       `toml:"mailbox"`
}

// InboundRecall is the table [inbound.recall].
type InboundRecall struct {
	Require  []string      `toml:"require" allowed:"aligned,cancel_key"`
	Partners []string      `toml:"partners"`
	MaxAge   Duration      `toml:"max_age"`
	Rate     Rate          `toml:"rate"`
	OnPass   string        `toml:"on_pass" allowed:"execute,vouch"`
	OnFail   string        `toml:"on_fail" allowed:"reject,tag,quarantine"`
	Rules    []InboundRule `toml:"rule"`
}

// InboundRule is one [[inbound.recall.rule]]; what it leaves out is as in the table.
type InboundRule struct {
	Name     string    `toml:"name"`
	Partners []string  `toml:"partners"`
	Require  []string  `toml:"require" allowed:"aligned,cancel_key"`
	MaxAge   *Duration `toml:"max_age"`
	Rate     *Rate     `toml:"rate"`
	OnPass   string    `toml:"on_pass" allowed:"execute,vouch"`
	OnFail   string    `toml:"on_fail" allowed:"reject,tag,quarantine"`
}

// Mailbox is the table [inbound.mailbox].
type Mailbox struct {
	Backend string `toml:"backend" allowed:"none,imap"`
	Unread  string `toml:"unread"` // delete, replace, move:Folder
	Read    string `toml:"read"`   // keep, delete, move:Folder
	DryRun  bool   `toml:"dry_run"`

	Notice string   `toml:"notice" allowed:"never,readers,always"` // to recipients: a message was taken out
	MaxAge Duration `toml:"max_age"`                               // older mail is left alone; 0: none is too old

	IMAP IMAP `toml:"imap"`

	Servers []MailServer `toml:"server"`
}

// MailServer is one table [[inbound.mailbox.server]]: the mailboxes of some domains. The first that has a recipient's
// domain is asked.
type MailServer struct {
	Domains      []string    `toml:"domains"`
	Backend      string      `toml:"backend" allowed:"imap,graph,none"`
	Address      string      `toml:"address"`
	TLS          string      `toml:"tls" allowed:"none,starttls,implicit"`
	Auth         string      `toml:"auth" allowed:"login,plain,xoauth2,oauthbearer"`
	Login        string      `toml:"login"`
	MasterUser   string      `toml:"master_user"`
	PasswordFile string      `toml:"password_file"`
	Token        TokenSource `toml:"token"`
	Unread       string      `toml:"unread"` // in place of that of [inbound.mailbox]
	Read         string      `toml:"read"`   // so
	Notice       string      `toml:"notice" allowed:"never,readers,always"`
	MaxAge       *Duration   `toml:"max_age"`
}

// TokenSource says where the access tokens of a [[inbound.mailbox.server]] come from.
type TokenSource struct {
	URL                string `toml:"url"`
	ClientID           string `toml:"client_id"`
	ClientSecretFile   string `toml:"client_secret_file"`
	Scope              string `toml:"scope"`
	ServiceAccountFile string `toml:"service_account_file"`
	File               string `toml:"file"`
}

// IMAP is the one server of all domains that no [[inbound.mailbox.server]] has, with a master user.
type IMAP struct {
	Address      string `toml:"address"`
	TLS          string `toml:"tls" allowed:"none,starttls,tls"`
	MasterUser   string `toml:"master_user"`
	PasswordFile string `toml:"password_file"`
	Separator    string `toml:"separator"`
}

// HTTP is the table [http].
type HTTP struct {
	Listen string `toml:"listen"` // empty: none
}
