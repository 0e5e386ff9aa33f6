package tomcat

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"rehydra/e2e/harness/filelock"
)

// base is a CATALINA_BASE: the configuration, applications and logs of one Tomcat. The distribution stays untouched.
type base struct {
	dir  string
	home string
}

// write lays the directory out.
func (b base) write(ctx context.Context, c Config, port, ajpPort int) error {
	for _, dir := range []string{"conf/Catalina/localhost", "lib", "logs", "temp", "webapps", "work", "apps"} {
		if err := os.MkdirAll(b.path(dir), 0o755); err != nil {
			return fmt.Errorf("cannot make a Tomcat in %q: %w", b.dir, err)
		}
	}
	jar, err := adapterJar(ctx, c.Release)
	if err != nil {
		return err
	}
	for _, path := range append([]string{jar}, c.Lib...) {
		if err := copyFile(path, b.path("lib", filepath.Base(path))); err != nil {
			return err
		}
	}
	webXML, err := os.ReadFile(filepath.Join(b.home, "conf", "web.xml"))
	if err != nil {
		return fmt.Errorf("cannot configure a Tomcat: %w", err)
	}
	properties, err := os.ReadFile(filepath.Join(b.home, "conf", "catalina.properties"))
	if err != nil {
		return fmt.Errorf("cannot configure a Tomcat: %w", err)
	}
	// Without looking into every jar for tag libraries it starts in half the time. The last value of a key counts; Tomcat 7 has a name of its own.
	quick := "\ntomcat.util.scan.StandardJarScanFilter.jarsToSkip=*.jar\ntomcat.util.scan.DefaultJarScanner.jarsToSkip=*.jar\n"
	files := map[string]string{
		"conf/catalina.properties": string(properties) + quick,
		"conf/server.xml":          c.serverXML(port, ajpPort),
		"conf/tomcat-users.xml":    usersXML(),
		"conf/logging.properties":  loggingProperties,
		"conf/context.xml":         "<Context/>\n",
		"conf/web.xml":             jspSource(string(webXML), c.Release),
	}
	for name, text := range files {
		if err := os.WriteFile(b.path(name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("cannot configure a Tomcat: %w", err)
		}
	}
	for path, auth := range map[string]string{Form: "FORM", Basic: "BASIC"} {
		if err := b.deploy(ctx, c, strings.TrimPrefix(path, "/"), auth); err != nil {
			return err
		}
	}
	return nil
}

// jspSource makes Tomcat 7 compile pages as Java 7, the newest that the compilers of its first releases know: by default it takes them for Java 6.
func jspSource(webXML string, r Release) string {
	if !r.of("7.0") {
		return webXML
	}
	const class = "<servlet-class>org.apache.jasper.servlet.JspServlet</servlet-class>"
	parameters := ""
	for _, name := range []string{"compilerSourceVM", "compilerTargetVM"} {
		parameters += "<init-param><param-name>" + name + "</param-name><param-value>1.7</param-value></init-param>"
	}
	return strings.Replace(webXML, class, class+parameters, 1)
}

// deploy copies the application, with the authentication method filled in and its classes compiled for the release.
func (b base) deploy(ctx context.Context, c Config, name, auth string) error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	source := filepath.Join(root, "e2e", "tomcat")
	docBase := b.path("apps", name)
	if err := os.CopyFS(docBase, os.DirFS(filepath.Join(source, "webapp"))); err != nil {
		return fmt.Errorf("cannot deploy %q: %w", name, err)
	}
	webXML := filepath.Join(docBase, "WEB-INF", "web.xml")
	text, err := os.ReadFile(webXML)
	if err != nil {
		return fmt.Errorf("cannot deploy %q: %w", name, err)
	}
	text = []byte(strings.Replace(string(text), "<auth-method>AUTH<", "<auth-method>"+auth+"<", 1))
	if err := os.WriteFile(webXML, text, 0o644); err != nil {
		return fmt.Errorf("cannot deploy %q: %w", name, err)
	}
	classes, err := applicationClasses(ctx, c.Release, b.home, filepath.Join(source, "classes"))
	if err != nil {
		return err
	}
	if err := os.CopyFS(filepath.Join(docBase, "WEB-INF", "classes"), os.DirFS(classes)); err != nil {
		return fmt.Errorf("cannot deploy %q: %w", name, err)
	}
	contextFile := b.path("conf", "Catalina", "localhost", name+".xml")
	if err := os.WriteFile(contextFile, []byte(c.contextXML(docBase)), 0o644); err != nil {
		return fmt.Errorf("cannot deploy %q: %w", name, err)
	}
	return nil
}

// applicationClasses compiles the application's classes for javax or jakarta, once, and returns their directory.
func applicationClasses(ctx context.Context, r Release, home, source string) (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, ".cache", "tomcat", "classes-"+r.namespace())
	unlock, err := filelock.Lock(dir + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	sources, err := filepath.Glob(filepath.Join(source, "*.java"))
	if err != nil || len(sources) == 0 {
		return "", fmt.Errorf("cannot compile the test application: no sources in %q", source)
	}
	_, built := newest(filepath.Join(dir, "rehydra", "*.class"))
	if _, changed := newest(filepath.Join(source, "*.java")); built.After(changed) {
		return dir, nil
	}
	generated, err := os.MkdirTemp("", "rehydra-classes-")
	if err != nil {
		return "", fmt.Errorf("cannot compile the test application: %w", err)
	}
	defer os.RemoveAll(generated)
	args := []string{"--release", "8", "-Xlint:-options", "-cp", filepath.Join(home, "lib", "servlet-api.jar"), "-d", dir}
	if r.jakarta {
		// Tomcat 11's own classes need 17.
		args[1] = "17"
	}
	for _, path := range sources {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("cannot compile the test application: %w", err)
		}
		copied := filepath.Join(generated, filepath.Base(path))
		text = []byte(strings.ReplaceAll(string(text), "javax.servlet", r.namespace()+".servlet"))
		if err := os.WriteFile(copied, text, 0o644); err != nil {
			return "", fmt.Errorf("cannot compile the test application: %w", err)
		}
		args = append(args, copied)
	}
	if err := run(ctx, generated, "javac", args...); err != nil {
		return "", fmt.Errorf("cannot compile the test application: %w", err)
	}
	return dir, nil
}

func (b base) path(parts ...string) string {
	return filepath.Join(append([]string{b.dir}, parts...)...)
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o644)
	}
	if err != nil {
		return fmt.Errorf("cannot copy %q to %q: %w", from, to, err)
	}
	return nil
}
