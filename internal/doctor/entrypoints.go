package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"net/textproto"
	"os"
	"os/exec"
	"strings"

	"github.com/recall-milter/recall-milter/internal/hint"
	"github.com/recall-milter/recall-milter/internal/postfix"
)

// entryPoints lists every way in: the ports that the MTA names, and sendmail(1).
func (s *Site) entryPoints() []entryPoint {
	var all []entryPoint
	port := func(name, address string, wrapped bool) {
		all = append(all, entryPoint{name, func(ctx context.Context, from, message string) error {
			return submit(ctx, reachable(address), wrapped, from, message)
		}})
	}
	switch c, err := readCF(s.Sendmail); {
	case s.mta != nil:
		for _, service := range s.mta.Running("smtpd") {
			returns := service.Loopback() && service.Overrides("smtpd_milters") // from a content filter
			if service.Type == "inet" && !s.releases(service) && !returns {
				port(service.String(), service.HostPort(), service.Get("smtpd_tls_wrappermode") == "yes")
			}
		}
	case err == nil:
		for _, p := range c.ports {
			if !p.listens(Endpoint(s.Config.Release.SMTP)) {
				port("port "+firstOf(p, "MTA", "Name", "N"),
					net.JoinHostPort(firstOf(p, "127.0.0.1", "Addr", "A"), firstOf(p, "25", "Port", "P")), false)
			}
		}
	default:
		port("smtp", "127.0.0.1:25", false)
	}
	return append(all, entryPoint{"sendmail(1)", s.sendmail})
}

// submit gives a message to a port, by TLS where it wants or offers that.
func submit(ctx context.Context, address string, wrapped bool, from, message string) error {
	c, err := dialSMTP(ctx, postfix.Endpoint{Network: "tcp", Address: address}, wrapped)
	if err != nil {
		return err
	}
	defer c.Close()
	if ok, _ := c.Extension("STARTTLS"); ok {
		if err := c.StartTLS(unproven); err != nil {
			return fmt.Errorf("STARTTLS: %w", err)
		}
	}
	if err := c.Mail(from); err != nil {
		return login(c, err)
	}
	if err := c.Rcpt(from); err != nil {
		return login(c, err)
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write([]byte(strings.ReplaceAll(message, "\n", "\r\n"))); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	c.Quit()
	return nil
}

// login tells the refusal of clients that have not logged in from others.
func login(c *smtp.Client, err error) error {
	var no *textproto.Error
	auth, _ := c.Extension("AUTH")
	if auth && errors.As(err, &no) && (no.Code == 530 || no.Code/100 == 5 && strings.Contains(no.Msg, "5.7.1")) {
		return fmt.Errorf("%w: %w", errLogin, err)
	}
	return err
}

// sendmail submits as cron and web applications do.
func (s *Site) sendmail(ctx context.Context, from, message string) error {
	program := "/usr/sbin/sendmail"
	if found, err := exec.LookPath("sendmail"); err == nil {
		program = found
	}
	args := []string{"-i", "-f", from, from}
	if s.mta != nil && s.mta.Dir != hint.PostfixDir {
		args = append([]string{"-C", s.mta.Dir}, args...)
	}
	c := exec.CommandContext(ctx, program, args...)
	c.Stdin = strings.NewReader(message)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	c.Env = os.Environ()
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, out.String())
	}
	return nil
}
