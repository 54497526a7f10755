dnl Recall Milter behind Sendmail: lines for sendmail.mc, before the MAILER lines. Sendmail 8.14 or newer.
dnl Paste them, or: include(`/usr/share/recall-milter/recall-milter.m4')dnl
dnl
dnl Recall Milter must be the LAST milter: one behind it could still refuse a message that is already held.
dnl F=T: while the milter is down, clients are told to try again, and nothing goes out unheld.
dnl T: Sendmail's own time-out for an answer, 10 seconds, is shorter than a store may take for a piece of a body.
INPUT_MAIL_FILTER(`recall-milter', `S=inet:8890@127.0.0.1, F=T, T=C:1m;S:2m;R:2m;E:5m')dnl
dnl
dnl The port for mail from outside and from users; Sendmail has it by default, until another one is named.
DAEMON_OPTIONS(`Name=MTA, Port=25')dnl
dnl
dnl The re-injection port: held mail comes back here when its grace has ended. Loopback only, no milters.
DAEMON_OPTIONS(`Name=recall-reinject, Port=10026, Addr=127.0.0.1, InputMailFilters=')dnl
