package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"rehydra/proxy"
)

// mostPage bounds one error page: every answer that has it is as long.
const mostPage = 256 << 10

// pageName is what the files of server.error_pages are called that are read; the rest of the folder is the operator's.
const pageName = `^[45][0-9][0-9]\.html$`

const wantedPages = `a folder with pages named by status, such as "502.html" and "503.html", or "" for none`

// pages reads the pages of server.error_pages.
func (c checker) pages() {
	s := &c.cfg.Server
	if s.ErrorPages == "" {
		return
	}
	given := strconv.Quote(s.ErrorPages)
	s.ErrorPages = c.beside(s.ErrorPages)
	entries, err := os.ReadDir(s.ErrorPages)
	if err != nil {
		c.bad("server.error_pages", fmt.Sprintf("%s (%v)", given, pathless(err)), wantedPages)
		return
	}
	s.Pages = make(proxy.Pages)
	named := regexp.MustCompile(pageName)
	for _, e := range entries {
		if !named.MatchString(e.Name()) {
			continue
		}
		page, err := os.ReadFile(filepath.Join(s.ErrorPages, e.Name()))
		switch {
		case err != nil:
			c.bad("server.error_pages", fmt.Sprintf("%s, whose %s cannot be read (%v)", given, e.Name(), pathless(err)), "readable pages")
		case len(page) > mostPage:
			c.bad("server.error_pages", fmt.Sprintf("%s, whose %s has %d bytes", given, e.Name(), len(page)), fmt.Sprintf("at most %d bytes a page", mostPage))
		default:
			status, _ := strconv.Atoi(strings.TrimSuffix(e.Name(), ".html")) // three digits
			s.Pages[status] = page
		}
	}
	if len(s.Pages) == 0 && c.count() == 0 {
		c.bad("server.error_pages", given+", in which there is no page", wantedPages)
	}
}

// withoutRouting is c without what a reload may change of the requests of clients.
func withoutRouting(c ServerConfig) ServerConfig {
	c.ErrorPages, c.Pages, c.MaxBodyBytes = "", nil, 0
	return c
}
