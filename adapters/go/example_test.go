package rehydra_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"

	rehydra "rehydra/adapters/go"
)

func Example() {
	sessions, err := rehydra.New(rehydra.Options{Token: "shared with the proxy", Route: "node1", App: "/shop"})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /cart", func(w http.ResponseWriter, r *http.Request) {
		s, err := rehydra.FromRequest(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		var cart []string
		if _, err := s.Get("cart", &cart); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		cart = append(cart, r.FormValue("item"))
		if err := s.Set("cart", cart); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, cart)
	})
	jar, err := cookiejar.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(sessions.Middleware(mux))
	defer server.Close()
	client := &http.Client{Jar: jar}
	for _, item := range []string{"tea", "cups"} {
		response, err := client.Post(server.URL+"/cart?item="+item, "", nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Print(string(body))
	}
	// Output:
	// [tea]
	// [tea cups]
}
