# Recall Milter. "make test" and "make run" are the two commands to know; both work on a bare Debian or Ubuntu.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS  = -s -w -X main.version=$(VERSION)

.PHONY: build test lint vulnerabilities deps bench torture soak packages run clean

build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

# What the tests and "make run" need from the distribution; installs only what is missing.
deps:
	test/deps/install ca-certificates gcc libc6-dev redis-server postfix opendkim opendmarc rspamd spamassassin amavisd-new clamav-daemon swaks dovecot-core dovecot-imapd dovecot-lmtpd dovecot-pop3d libsasl2-modules jq
	test/deps/unpack sendmail sendmail-bin sendmail-base sendmail-cf
	test/deps/unpack sasl sasl2-bin
	test/deps/unpack prometheus prometheus

lint:
	@unformatted=$$(gofmt -l cmd holdstore internal milter policy test); \
	[ -z "$$unformatted" ] || { echo "run gofmt -w on: $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

# Known defects of what we depend on; skipped where the database can't be reached.
vulnerabilities:
	@out=$$($(GO) run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./... 2>&1) || case "$$out" in \
	*"fetching vulnerabilities"*) echo "govulncheck can't reach its data: skipped" ;; \
	*) echo "$$out"; exit 1 ;; esac

# Tests wait for servers far more than they compute: more of them at a time than there are processors.
test: deps lint vulnerabilities
	$(GO) test -race -parallel 4 -timeout 14m ./...

# Prints how fast it is beside its peers on this machine; takes some minutes, and wants the machine for itself.
bench: deps
	test/deps/install libmilter-dev
	$(GO) test -tags bench -run TestBench -v -count=1 -timeout 90m ./test

# Kills everything at random under load for some minutes, and counts what arrives.
torture: deps
	TORTURE=$(or $(TORTURE),5m) $(GO) test -run TestTorture -v -count=1 -timeout 60m ./test
	TORTURE=yes $(GO) test -run TestFailovers -v -count=1 ./holdstore
	TORTURE=yes $(GO) test -run PictureOfItsStates -v -count=1 -timeout 30m ./holdstore -rapid.checks=1000

# The mail of 8 hours, one a second, in some minutes: nothing may grow.
soak: deps
	SOAK=$(or $(SOAK),8m) $(GO) test -run TestSoak -v -count=1 -timeout 60m ./test

# The deb and the rpm, in dist/; checked by what distributions check with, and tried in scratch systems (as root).
packages:
	test/deps/install lintian shellcheck rpm rpmlint cpio man-db redis-server systemd systemd-container mmdebstrap
	packaging/check

run: deps build
	test/run/gateway

clean:
	rm -rf bin dist
