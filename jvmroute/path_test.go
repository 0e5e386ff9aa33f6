package jvmroute

import "testing"

func TestStripPathParameters(t *testing.T) {
	tests := []struct {
		target, want string
		copied       bool
	}{
		{"/shop/a.jpg", "/shop/a.jpg", false},
		{"/shop/a.jpg?x=1;y=2", "/shop/a.jpg", false},
		{"/shop#x;y", "/shop", false},
		{"/shop;jsessionid=ABC", "/shop", true},
		{"/shop;jsessionid=ABC/cart;v=1/x?q", "/shop/cart/x", true},
		{"/;/;", "//", true},
		{"/a;b;c=d/e", "/a/e", true},
		{";", "", true},
		{"", "", false},
		{"*", "*", false},
		{"http://shop.example.com/a;b/c?d", "/a/c", true},
		{"http://shop.example.com", "", false},
		{"http://shop.example.com/a", "/a", false},
	}
	for _, test := range tests {
		target := []byte(test.target)
		scratch := make([]byte, 0, 64)
		got := StripPathParameters(scratch, target)
		if string(got) != test.want {
			t.Errorf("StripPathParameters(%q) = %q, want %q", test.target, got, test.want)
		}
		if string(target) != test.target {
			t.Errorf("StripPathParameters(%q) changed its input to %q", test.target, target)
		}
		if len(got) > 0 && (&got[0] == &scratch[:1][0]) != test.copied {
			t.Errorf("StripPathParameters(%q) copied: %v, want %v", test.target, !test.copied, test.copied)
		}
	}
}
