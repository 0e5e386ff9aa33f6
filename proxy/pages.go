package proxy

import "github.com/valyala/fasthttp"

// Pages are an operator's own pages, in HTML, by the status of the answers of ours whose body they are.
type Pages map[int][]byte

// write makes resp's body the page of its status, or the sentence where there is none.
func (p Pages) write(resp *fasthttp.Response, sentence string) {
	if page, ok := p[resp.StatusCode()]; ok {
		resp.Header.SetContentType("text/html; charset=utf-8")
		resp.SetBody(page)
		return
	}
	resp.Header.SetContentType("text/plain; charset=utf-8")
	resp.SetBodyString(sentence + "\n")
}
