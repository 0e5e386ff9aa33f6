package checks

import "net/http"

// tokenChecks: without the tier's token an adapter does nothing at all (section 1).
func tokenChecks() []Check {
	silent := func(c func(p *probe) call) func(p *probe) {
		return func(p *probe) {
			cl := c(p)
			cl.query = do("set", "k", "color", "v", "blue")
			r := p.sendRaw(cl)
			p.want(r.status == http.StatusOK, "status %d given, wanted the application's 200", r.status)
			p.want(len(r.fields()) == 0, "%v given, wanted no field of the protocol", r.fields())
		}
	}
	return []Check{
		{"token/none", "a request without Rehydra-Tier is served, and answered without any field of the protocol (1)",
			silent(func(*probe) call { return call{noToken: true} })},
		{"token/wrong", "a wrong token is as none (1)",
			silent(func(p *probe) call { return call{tokens: []string{p.target.Token + "x"}} })},
		{"token/part", "the beginning of the token is a wrong token (1)",
			silent(func(p *probe) call { return call{tokens: []string{p.target.Token[:len(p.target.Token)-1]}} })},
		{"token/empty", "an empty token is a wrong token (1)",
			silent(func(*probe) call { return call{tokens: []string{""}} })},
		{"token/twice", "two tokens are as none, be they right (1)",
			silent(func(p *probe) call { return call{tokens: []string{p.target.Token, p.target.Token}} })},
		{"token/list", "two tokens in one field are as none (1)",
			silent(func(p *probe) call { return call{tokens: []string{p.target.Token + ", " + p.target.Token}} })},
		{"token/have", "without a token no 428 is given (2, rule 1)", func(p *probe) {
			r := p.sendRaw(call{noToken: true, query: do("show"), cookies: []string{"UNKNOWN." + elsewhere}, have: "ask"})
			p.want(r.status == http.StatusOK, "status %d given, wanted the application's 200", r.status)
		}},
		{"token/state", "without a token no state is installed (2, rule 1)", func(p *probe) {
			s := p.startedAndDropped()
			p.sendRaw(call{noToken: true, query: do("show"), cookies: []string{s.id}, have: "9.0", state: encode(s.state)})
			r := p.operate("read", s.id)
			p.want(r.status == http.StatusNotFound, "status %d given to a read, wanted 404", r.status)
		}},
		{"token/operation", "without a token no operation is done (4)", func(p *probe) {
			s := p.start()
			for _, tokens := range [][]string{nil, {"wrong"}, {p.target.Token, p.target.Token}} {
				r := p.sendRaw(call{op: "drop", id: s.id, tokens: tokens, noToken: true})
				p.want(len(r.fields()) == 0, "%v given, wanted no field of the protocol", r.fields())
			}
			r := p.operate("read", s.id)
			p.want(r.status == http.StatusOK, "status %d given to a read, wanted 200: the session was dropped", r.status)
		}},
	}
}
