package tomcat

import (
	"fmt"
	"strings"
)

// Token is the secret between tier and adapter unless a Config has its own.
const Token = "e2e-token"

// Config says how one Tomcat is set up. The zero value of everything but Release and Route is ready to use.
type Config struct {
	Release Release
	Route   string // jvmRoute; also the node's name on the test application's pages
	Token   string // "" = Token
	// ValveAttributes go into the adapter's Valve element: `inlineLimit="100" ignore="\.txt$"`.
	ValveAttributes string
	// NoAdapter leaves the Valve out, for a backend without sessions in the tier.
	NoAdapter bool
	// HostValve puts the Valve into the Host in server.xml instead of the contexts.
	HostValve bool
	// ContextXML is added to each Context: a Manager, say. Without it sessions are not saved to disk when Tomcat stops.
	ContextXML string
	// ConnectorAttributes go into the HTTP Connector: `maxThreads="50"`.
	ConnectorAttributes string
	// Lib are paths of jars that Tomcat gets beside the adapter.
	Lib []string
	// JVM adds to or overrides the flags of the Java process.
	JVM []string
}

// The two contexts of every Tomcat run the same application; its page /session does not need a login, /secure/page.jsp does.
const (
	Form  = "/shop"  // form login
	Basic = "/basic" // HTTP basic authentication
	// User and Password log in to both.
	User     = "alice"
	Password = "secret"
)

const noPersistence = `<Manager className="org.apache.catalina.session.StandardManager" pathname=""/>`

func (c Config) valve() string {
	if c.NoAdapter {
		return ""
	}
	token := c.Token
	if token == "" {
		token = Token
	}
	return fmt.Sprintf(`<Valve className="io.rehydra.tomcat.RehydraValve" token="%s" %s/>`, token, c.ValveAttributes)
}

func (c Config) serverXML(port, ajpPort int) string {
	valve := ""
	if c.HostValve {
		valve = c.valve()
	}
	return fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<Server port="-1" shutdown="none">
  <Listener className="org.apache.catalina.core.JreMemoryLeakPreventionListener"/>
  <Listener className="org.apache.catalina.core.ThreadLocalLeakPreventionListener"/>
  <Service name="Catalina">
    <Connector port="%d" address="127.0.0.1" protocol="HTTP/1.1" connectionTimeout="20000" %s/>
    <Connector port="%d" address="127.0.0.1" protocol="AJP/1.3" secretRequired="false" connectionTimeout="20000"/>
    <Engine name="Catalina" defaultHost="localhost" jvmRoute="%s">
      <Realm className="org.apache.catalina.realm.MemoryRealm"/>
      <Host name="localhost" appBase="webapps" unpackWARs="false" autoDeploy="false">%s</Host>
    </Engine>
  </Service>
</Server>
`, port, c.ConnectorAttributes, ajpPort, c.Route, valve)
}

func (c Config) contextXML(docBase string) string {
	valve := c.valve()
	if c.HostValve {
		valve = ""
	}
	more := c.ContextXML
	if !strings.Contains(more, "<Manager") {
		more += noPersistence
	}
	return fmt.Sprintf("<Context docBase=%q>\n%s\n%s\n</Context>\n", docBase, more, valve)
}

func usersXML() string {
	return fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<tomcat-users>
  <user username="%s" password="%s" roles="customer"/>
</tomcat-users>
`, User, Password)
}

// loggingProperties sends everything to standard output, which goes to catalina.out.
const loggingProperties = `handlers = java.util.logging.ConsoleHandler
.handlers = java.util.logging.ConsoleHandler
.level = INFO
java.util.logging.ConsoleHandler.level = FINE
java.util.logging.ConsoleHandler.formatter = org.apache.juli.OneLineFormatter
java.util.logging.ConsoleHandler.encoding = UTF-8
`
