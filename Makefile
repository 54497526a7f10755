# Recall Milter. "make test" and "make run" are the two commands to know; both work on a bare Debian or Ubuntu.

GO      ?= go
# A Go from 1.21 on fetches the one that go.mod names, also where a distribution has told it not to.
export GOTOOLCHAIN ?= auto

VERSION ?= $(shell cat VERSION)$(shell git describe --always --dirty --exclude='*' 2>/dev/null | sed 's/^/+g/')
LDFLAGS  = -s -w -X main.version=$(VERSION)

.PHONY: help build test compare corpus suites lint vulnerabilities compiler deps bench torture fuzz soak deb rpm release packages platforms firstrun container arm64 pictures proxies roundcube run clean

help: ## List the targets
	@sed -n 's/^\([a-z0-9]*\):[^#]*## /  make \1\t/p' Makefile | expand -t 24

build: ## Build the programs into bin/
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

# What the commands need from the distribution: the gateway, the tests, and the comparison with peers on top of those.
# Only what is missing is installed. Of names with | between them, one is enough.
NEEDED_TO_RUN   = ca-certificates postfix 'valkey-server|redis-server'
NEEDED_TO_LINT  = ca-certificates gcc libc6-dev
NEEDED_TO_TEST  = redis-server postfix opendkim opendmarc rspamd spamassassin amavisd-new \
	amavisd-milter postsrsd clamav-daemon swaks dovecot-core dovecot-imapd dovecot-lmtpd dovecot-pop3d libsasl2-modules jq chromium fonts-noto-cjk
NEEDED_TO_BENCH = libmilter-dev

compiler:
	test/deps/install $(NEEDED_TO_LINT)

deps: compiler ## Install what the tests need, if it is missing; make run and make bench install their own
	test/deps/install $(NEEDED_TO_TEST)
	test/deps/unpack sendmail sendmail-bin sendmail-base sendmail-cf
	test/deps/unpack sasl sasl2-bin
	test/deps/unpack cyrus cyrus-imapd cyrus-common
	test/deps/unpack prometheus prometheus
	test/deps/unpack slapd slapd postfix-ldap

# Linters read what the compiler makes of the packages. With -race that is what the tests need too, so it is made once.
LINT = GOFLAGS="$$GOFLAGS -race" $(GO) run -race=false

lint: compiler ## Check format, vet, staticcheck, unread errors, comments, spelling
	@unformatted=$$(gofmt -l cmd holdstore internal milter policy test); \
	[ -z "$$unformatted" ] || { echo "run gofmt -w on: $$unformatted"; exit 1; }
	$(GO) vet -race ./...
	$(LINT) honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
	$(LINT) codeberg.org/polyfloyd/go-errorlint@v1.9.1 ./...
	$(LINT) github.com/kisielk/errcheck@v1.10.0 -ignoretests -exclude test/lint/errcheck.txt $$($(GO) list ./... | grep -v /test)
	$(LINT) github.com/mgechev/revive@v1.17.0 -config test/lint/revive.toml -set_exit_status ./...
	@git ls-files '*.go' '*.md' | xargs $(GO) run github.com/golangci/misspell/cmd/misspell@v0.7.0 -error

# Known defects of what we depend on; skipped where the database can't be reached.
vulnerabilities: ## Look up known defects of the dependencies
	@out=$$($(GO) run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./... 2>&1) || case "$$out" in \
	*"fetching vulnerabilities"*) echo "govulncheck can't reach its data: skipped" ;; \
	*) echo "$$out"; exit 1 ;; esac

# What the tests need is installed while the linters compile. Tests wait for servers far more than they compute: more of
# them, and of packages, at a time than there are processors. The two longest packages are named first, so that they
# begin first. The race detector would wait for a second at the end of each program.
test: ## Install what is missing, lint, and run every test against real servers
	$(MAKE) --jobs --output-sync deps lint vulnerabilities
	GORACE=atexit_sleep_ms=0 $(GO) test -race -shuffle on -parallel 4 -p 3 -timeout 18m ./test ./holdstore ./...

# The suite of ARC is fetched, not copied: it is at a commit of its own.
suites: ## Run the public suites of SPF and ARC
	test -d build/arc || git clone -q https://github.com/ValiMail/arc_test_suite build/arc
	git -C build/arc checkout -q f137dcb9d6d5baeef1310024ce9ccca94a9a92c8
	ARC_TEST_SUITE=$(CURDIR)/build/arc $(GO) test -count 1 -run Suite ./internal/authenticate

corpus: ## Measure how often rules of contacts are wrong, on a corpus that is made
	CORPUS=yes $(GO) test -run HowOften -v -count=1 ./internal/correspondents

# "make test" has a short form of it.
compare: deps ## Compare mail with and without a hold at every kind of site; nine minutes
	COMPARE=yes $(GO) test -run TestAHeldMessageArrives -v -count=1 -timeout 30m ./test

# Prints how fast it is next to its peers on this machine, and which aims were missed.
bench: deps ## Measure speed next to peers; half an hour, needs the machine for itself
	test/deps/install $(NEEDED_TO_BENCH)
	$(GO) test -tags bench -run TestBench -v -count=1 -timeout 90m ./test

# Kills everything at random under load for some minutes, and counts what arrives.
torture: deps ## Kill everything at random under load, and count what arrives
	TORTURE=$(or $(TORTURE),5m) $(GO) test -run TestTorture -v -count=1 -timeout 60m ./test
	TORTURE=yes $(GO) test -run TestTheOutcomeOfALateRecallSurvivesKills -v -count=1 -timeout 30m ./test
	TORTURE=yes $(GO) test -run TestAMessageIsClawedBack -v -count=1 -timeout 30m ./test
	TORTURE=$(or $(TORTURE),5m) $(GO) test -run TestNobodyFillsTheStoreForOthers -v -count=1 -timeout 30m ./test
	TORTURE=yes $(GO) test -run TestFailovers -v -count=1 ./holdstore
	TORTURE=yes $(GO) test -run PictureOfItsStates -v -count=1 -timeout 90m ./holdstore -rapid.checks=1000

# Every fuzz target of the tree for FUZZ each (a minute), one after the other; a nightly run: make fuzz FUZZ=10m.
fuzz: ## Run every fuzz target, FUZZ=1m each
	GO="$(GO)" test/fuzz/all $(or $(FUZZ),1m)

# The mail of 8 hours, one a second, in some minutes: nothing may grow.
soak: deps ## Run the mail of 8 hours in minutes; nothing may grow
	SOAK=$(or $(SOAK),8m) $(GO) test -run TestSoak -v -count=1 -timeout 60m ./test

deb: ## Build the deb, in dist/
	packaging/build dist deb

rpm: ## Build the rpm, in dist/
	packaging/build dist rpm

# All that is published, in dist/release: packages for both architectures, sums, a list of parts, repositories. KEY is
# the gpg key that signs it.
release: ## Build all that is published, in dist/release; KEY=ID signs it
	test/deps/install --upgrade-nothing apt-utils createrepo-c gnupg
	packaging/release dist/release $(KEY)

# The deb and the rpm, in dist/; checked by what distributions check with, and tried in scratch systems (as root).
packages: ## Build the deb and the rpm, and try them in scratch systems (as root)
	test/deps/install --upgrade-nothing lintian shellcheck rpm rpmlint cpio man-db redis-server systemd systemd-container mmdebstrap
	packaging/check

# Debian 12, 13 and testing, each with Redis and with Valkey: one small system after the other, ten minutes in all.
platforms: ## Try the deb on Debian 12, 13 and testing (as root)
	test/deps/install --upgrade-nothing systemd-container mmdebstrap
	packaging/platforms

# README's commands in systems that have nothing but apt. Needs the network; some minutes for each suite.
firstrun: ## Time README's commands on bare systems of Debian (as root)
	test/deps/install --upgrade-nothing systemd-container mmdebstrap
	rm -rf dist/platform
	packaging/build dist/platform deb
	for suite in bookworm trixie testing; do \
	packaging/scratch/first-package dist/platform/*.deb $$suite && packaging/scratch/first-run $$suite || exit 1; done

container: ## Build the image, and have it hold and recall a message (as root)
	test/deps/install --upgrade-nothing $(NEEDED_TO_RUN) buildah curl
	packaging/container/check

# The unit and sealing tests of the other architecture, in an emulator. It is too slow for a bound on time.
arm64: ## Run the tests of policy, sealing and IDs for arm64, under qemu
	test/deps/install --upgrade-nothing qemu-user-static
	CGO_ENABLED=0 GOARCH=arm64 $(GO) test -exec qemu-aarch64-static -skip TakesNoLonger ./policy ./holdstore/internal/...

# A browser looks at every page in every state: build/pictures is for people to look at, docs/pictures is the manual's.
pictures: ## Take pictures of the page, for the manual and to look at
	test/deps/install redis-server chromium fonts-noto-cjk
	mkdir -p build/pictures
	SCREENSHOTS=$(CURDIR)/build/pictures PICTURES=$(CURDIR)/docs/pictures \
		$(GO) test -count=1 -run 'ThePicturesOfTheManual|OfEveryState' ./internal/web

# Each example of docs/web.md stands in front of a page.
proxies: ## Try the manual's examples of nginx, Caddy and Apache
	test/deps/install redis-server nginx-light caddy apache2
	PROXIES=yes $(GO) test -count=1 -run ReverseProx -v ./internal/web

# Roundcube is unpacked, not installed: its package wants a web server.
NEEDED_FOR_ROUNDCUBE = php-cli php-curl php-sqlite3 php-mbstring php-xml php-intl php-codesniffer
roundcube: deps ## Use the Roundcube plugin in a browser, and check its form
	test/deps/install --upgrade-nothing $(NEEDED_FOR_ROUNDCUBE)
	test/deps/unpack roundcube roundcube-core roundcube-sqlite3 php-pear php-auth-sasl php-mail-mime php-net-smtp \
		php-net-socket php-net-sieve php-masterminds-html5 php-guzzlehttp-guzzle php-guzzlehttp-promises \
		php-guzzlehttp-psr7 php-psr-http-client php-psr-http-factory php-psr-http-message php-getallheaders \
		php-symfony-deprecation-contracts libjs-bootstrap4 libjs-codemirror libjs-jquery libjs-jquery-minicolors \
		libjs-jquery-ui libjs-jstimezonedetect
	$(GO) test -count=1 ./test/roundcube
	ROUNDCUBE=yes $(GO) test -count=1 -run InRoundcube -v -timeout 30m ./test

# It installs what it runs, and nothing that only the tests need; meanwhile it compiles.
run: ## Run the whole gateway on loopback
	test/deps/install $(firstword $(NEEDED_TO_RUN))
	test/deps/install $(NEEDED_TO_RUN) & installing=$$!; \
	$(MAKE) build; built=$$?; wait $$installing && exit $$built
	test/run/gateway

clean: ## Remove bin/ and dist/
	rm -rf bin dist
