package main

// keepAlive1K is the plainest traffic there is: small pages of logged-in users over kept connections.
func keepAlive1K() Workload {
	return Workload{
		Name:        "keepalive-1k",
		About:       "GET of 1 KiB over 64 kept connections, each with a session cookie that names its backend",
		Connections: 64,
		Body:        1024,
		Head: "GET /shop/page?item=17 HTTP/1.1\r\n" +
			"Host: shop.example.com\r\n" +
			"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" +
			"Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\n" +
			"Accept-Language: en-GB,en;q=0.5\r\n" +
			"Accept-Encoding: gzip, deflate\r\n" +
			"Cookie: theme=light; JSESSIONID=%s\r\n" +
			"\r\n",
	}
}
