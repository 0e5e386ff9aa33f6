// Package tomcat runs real Tomcats for tests: it fetches the official distributions of Tomcat 7 to 11, starts one process each
// with the adapter and a test application, and kills, stops, pauses and restarts them. Its own tests play the tier against
// the adapter directly; the tests of package e2e put the proxy in between.
//
// Java, Maven and a network (Maven Central) or a filled .cache are needed. A missing one fails the test.
package tomcat
