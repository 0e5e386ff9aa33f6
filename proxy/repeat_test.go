package proxy

import "testing"

func TestMayRepeat(t *testing.T) {
	for _, tc := range []struct {
		name   string
		method string
		sent   sent
		want   bool
	}{
		{"nothing was sent", "POST", sent{}, true},
		{"nothing was sent, but the body is gone", "POST", sent{body: true}, false},
		{"a POST that may have arrived", "POST", sent{bytes: true}, false},
		{"a PATCH that may have arrived", "PATCH", sent{bytes: true}, false},
		{"an unknown method that may have arrived", "FROB", sent{bytes: true}, false},
		{"a GET without a byte back", "GET", sent{bytes: true}, true},
		{"a GET with a byte back", "GET", sent{bytes: true, answered: true}, false},
		{"a PUT whose body is kept", "PUT", sent{bytes: true}, true},
		{"a PUT whose body is gone", "PUT", sent{bytes: true, body: true}, false},
		{"methods are case-sensitive", "get", sent{bytes: true}, false},
	} {
		if got := mayRepeat([]byte(tc.method), tc.sent); got != tc.want {
			t.Errorf("%s: mayRepeat(%s, %+v) = %v, want %v", tc.name, tc.method, tc.sent, got, tc.want)
		}
	}
}
