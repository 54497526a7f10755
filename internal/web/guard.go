package web

import (
	"context"
	"errors"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
)

// policyOfContent lets a page load nothing but our own style sheet, script and pictures, and be shown in no frame.
const policyOfContent = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; " +
	"img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guarded adds what holds for every answer: headers that bind the browser, no request from another site, a bound for
// what is posted, and that a panic costs only its own request.
func (s *Server) guarded(next http.Handler) http.Handler {
	origins := http.NewCrossOriginProtection()
	origins.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, forbidden("the request comes from another site"))
	}))
	inner := origins.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(v) // net/http ends the connection: the client must not take a part for the whole
			}
			s.log.Panicked("a request to the page", v, debug.Stack())
			s.fail(w, r, holdstore.ErrDefect)
		}()
		h := w.Header()
		h.Set("Content-Security-Policy", policyOfContent)
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		h.Set("X-Robots-Tag", "noindex, nofollow")
		h.Set("Cache-Control", "no-store")
		if s.secure {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		most := int64(maxBody)
		if r.URL.Path == "/operator/confirm" { // its form names all messages of an act
			most = manyBody
		}
		r.Body = http.MaxBytesReader(w, r.Body, most)
		inner.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), cameKey{}, time.Now())))
	})
}
