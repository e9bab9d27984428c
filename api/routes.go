package api

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/gorilla/mux"
)

// handlerFunc is a handler that leaves its failures to problem.go.
type handlerFunc func(w http.ResponseWriter, r *http.Request) error

type methods map[string]handlerFunc

// route is a resource: a path template and what its methods do. A template that
// ends in a slash answers without it as well, and without a redirect, which
// would lose a POST.
type route struct {
	path    string
	methods methods
}

// routes are all resources of the service.
func (s *Server) routes() []route {
	signIn := func(h handlerFunc) handlerFunc { return s.users(s.limited("sign-in", s.Config.Limits.SignIn, h)) }
	token := func(h handlerFunc) handlerFunc { return s.limited("token", s.Config.Limits.Token, h) }
	mail := func(h handlerFunc) handlerFunc { return s.users(s.limited("mail", s.Config.Limits.Mail, h)) }
	return []route{
		{"/users/register/", methods{"POST": mail(s.register)}},
		{"/users/register/confirm/{uidb64}/{token}/", methods{"GET": token(s.openActivation), "HEAD": s.nothing, "POST": token(s.activate)}},
		{"/users/regenerate-token/", methods{"POST": mail(s.requestActivation)}},
		{"/users/login/", methods{"POST": signIn(s.signIn)}},
		{"/users/logout/", methods{"POST": s.users(s.signOut)}},
		{"/users/current-user/", methods{"GET": s.member(s.currentUser)}},
		{"/users/update-user/", methods{"PATCH": s.member(s.updateUser)}},
		{"/users/password-change/request-password-change/", methods{"POST": mail(s.requestReset)}},
		{"/users/password-change/confirm/change-password/{uidb64}/{token}/", methods{"GET": token(s.openReset), "HEAD": s.nothing}},
		{"/users/password-change/change-user-password/", methods{"POST": s.users(token(s.resetPassword))}},
		{"/users/series/", methods{"GET": s.users(s.series)}},
		{"/users/me/", methods{"GET": s.member(s.currentUser), "PATCH": s.member(s.patchUser), "DELETE": s.member(s.eraseAccount)}},
		{"/users/me/export/", methods{"GET": s.member(s.export)}},
		{"/users/me/history/", methods{"GET": s.member(s.history)}},
		{"/users/me/thumbnail/", methods{"DELETE": s.member(s.removeThumbnail)}},
		{"/users/me/password/", methods{"POST": s.member(s.changePassword)}},
		{"/users/me/email/", methods{"POST": mail(s.member(s.requestAddressChange))}},
		{"/users/email-change/confirm/{uidb64}/{token}/", methods{"GET": token(s.openAddressChange), "HEAD": s.nothing, "POST": token(s.changeAddress)}},
		{"/users/email-change/confirmed/", methods{"GET": s.page("address-confirmed")}},
		{"/users/email-change/refused/", methods{"GET": s.page("address-refused")}},
		{"/users/me/sessions/", methods{"GET": s.member(s.listSessions), "DELETE": s.member(s.endOtherSessions)}},
		{"/users/me/sessions/{session}/", methods{"DELETE": s.member(s.endSession)}},
		{"/media/{key:.+}", methods{"GET": s.media}},
		{"/audit/events", methods{"GET": s.auditEvents}},
		{"/healthz", methods{"GET": s.healthz}},
		{"/readyz", methods{"GET": s.readyz}},
		{"/.well-known/security.txt", methods{"GET": s.securityText}},
		{"/openapi.json", methods{"GET": s.openapi}},
		{"/docs/", methods{"GET": s.page("docs")}},
		{"/assets/{name}", methods{"GET": s.asset}},
		{"/", methods{"GET": s.start}},
	}
}

// pageRoutes are the built-in pages, which stand in for a frontend.
func (s *Server) pageRoutes() []route {
	return []route{
		{"/auth/login/", methods{"GET": s.page("login")}},
		{"/auth/register/", methods{"GET": s.page("register")}},
		{"/auth/confirming/", methods{"GET": s.page("confirming")}},
		{"/auth/confirmed/", methods{"GET": s.page("confirmed")}},
		{"/auth/regenerate-token/", methods{"GET": s.page("regenerate-token")}},
		{"/auth/password/request-change/", methods{"GET": s.page("request-change")}},
		{"/auth/password/change-password/", methods{"GET": s.page("change-password")}},
		{"/auth/about/{id}/", methods{"GET": s.page("about")}},
	}
}

// router matches the path as it was sent: a slash inside a segment stays inside,
// and nothing is redirected to a cleaner spelling.
func (s *Server) router() http.Handler {
	router := mux.NewRouter().SkipClean(true).UseEncodedPath()
	all := s.routes()
	if s.Config.FrontendURL == "" {
		all = append(all, s.pageRoutes()...)
	}
	for _, resource := range all {
		path, slash := strings.CutSuffix(resource.path, "/")
		if slash && path != "" {
			path += "{slash:/?}"
		} else {
			path = resource.path
		}
		router.Path(path).Handler(s.handle(resource.path, resource.methods.serve))
	}
	if s.Mailbox != nil {
		router.PathPrefix("/dev/mailbox").Handler(s.handle("/dev/mailbox/", func(w http.ResponseWriter, r *http.Request) error {
			s.Mailbox.ServeHTTP(w, r)
			return nil
		}))
	}
	router.NotFoundHandler = s.handle(unmatched, func(http.ResponseWriter, *http.Request) error { return errNoSuchPath })
	return router
}

// serve picks the method. HEAD is GET unless the resource says otherwise; the
// connection leaves out the body.
func (m methods) serve(w http.ResponseWriter, r *http.Request) error {
	if handler, ok := m[r.Method]; ok {
		return handler(w, r)
	}
	if handler, ok := m["GET"]; ok && r.Method == "HEAD" {
		return handler(w, r)
	}
	w.Header().Set("Allow", m.allowed())
	if r.Method == "OPTIONS" {
		return empty(w)
	}
	return errMethod
}

func (m methods) allowed() string {
	names := append(slices.Collect(maps.Keys(m)), "OPTIONS")
	if m["GET"] != nil && m["HEAD"] == nil {
		names = append(names, "HEAD")
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// handle makes an http.Handler of a handlerFunc: it notes the template, the
// only name of the path that is ever logged, and writes what failed.
func (s *Server) handle(template string, h handlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		exchangeOf(r).route = template
		if err := h(w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}
