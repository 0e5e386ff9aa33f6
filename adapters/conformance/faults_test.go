package main

import (
	"net/http"
)

// without removes a field from the heads of all responses.
func without(name string) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(&filter{ResponseWriter: w, drop: []string{name}}, r)
		})
	}
}

// withoutTrailers promises late fields and never sends them, and forgets the session before it can be asked for.
func withoutTrailers(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Rehydra-Op") == "read" {
			w.Header().Set("Rehydra-Adapter", "1")
			w.WriteHeader(http.StatusNotFound)
			return
		}
		h.ServeHTTP(w, r)
		w.Header().Del(http.TrailerPrefix + "Rehydra-Session")
		w.Header().Del(http.TrailerPrefix + "Rehydra-State")
	})
}

// withoutRequestField hides a field of the request from the adapter.
func withoutRequestField(name string) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del(name)
			h.ServeHTTP(w, r)
		})
	}
}

// withToken takes everybody for the tier.
func withToken(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Rehydra-Tier", token)
		h.ServeHTTP(w, r)
	})
}

// filter drops fields when the head goes out.
type filter struct {
	http.ResponseWriter
	drop []string
}

func (f *filter) WriteHeader(status int) {
	for _, name := range f.drop {
		f.Header().Del(name)
	}
	f.ResponseWriter.WriteHeader(status)
}

func (f *filter) Unwrap() http.ResponseWriter { return f.ResponseWriter }
