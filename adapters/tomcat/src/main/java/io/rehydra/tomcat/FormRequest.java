package io.rehydra.tomcat;

import java.io.DataInputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;

import javax.servlet.http.Cookie;

import org.apache.catalina.authenticator.SavedRequest;
import org.apache.tomcat.util.buf.ByteChunk;

/**
 * The request that a form login interrupted and that is sent again once the user is logged in. Tomcat's own class is written field by
 * field, since its serialised form differs between versions and Tomcat 7's has none.
 *
 * <pre>
 * texts    method, query, URI, decoded URI, content type
 * bytes    body, or -1
 * byte     1: an int follows, the max inactive interval that holds again after the login; else 0
 * lists    headers (name, value, name, value, ...), cookies (the same), language tags
 * </pre>
 */
final class FormRequest {

    private final List<String> line;
    private final byte[] body;
    private final Integer maxInactiveInterval;
    private final List<String> headers;
    private final List<String> cookies;
    private final List<String> locales;

    private FormRequest(List<String> line, byte[] body, Integer maxInactiveInterval, List<String> headers, List<String> cookies,
            List<String> locales) {
        this.line = line;
        this.body = body;
        this.maxInactiveInterval = maxInactiveInterval;
        this.headers = headers;
        this.cookies = cookies;
        this.locales = locales;
    }

    static FormRequest of(SavedRequest saved, Internals internals) {
        List<String> line = new ArrayList<>();
        Collections.addAll(line, saved.getMethod(), saved.getQueryString(), saved.getRequestURI(), saved.getDecodedRequestURI(),
                saved.getContentType());
        List<String> headers = new ArrayList<>();
        for (Iterator<String> names = saved.getHeaderNames(); names.hasNext();) {
            String name = names.next();
            for (Iterator<String> values = saved.getHeaderValues(name); values.hasNext();) {
                Collections.addAll(headers, name, values.next());
            }
        }
        List<String> cookies = new ArrayList<>();
        for (Iterator<Cookie> all = saved.getCookies(); all.hasNext();) {
            Cookie cookie = all.next();
            Collections.addAll(cookies, cookie.getName(), cookie.getValue());
        }
        List<String> locales = new ArrayList<>();
        for (Iterator<Locale> all = saved.getLocales(); all.hasNext();) {
            locales.add(all.next().toLanguageTag());
        }
        return new FormRequest(line, bytes(saved.getBody()), internals.originalMaxInactiveInterval(saved), headers, cookies, locales);
    }

    private static byte[] bytes(ByteChunk chunk) {
        if (chunk == null) {
            return null;
        }
        byte[] bytes = new byte[chunk.getLength()];
        System.arraycopy(chunk.getBytes(), chunk.getStart(), bytes, 0, bytes.length);
        return bytes;
    }

    SavedRequest toSavedRequest(Internals internals) {
        SavedRequest saved = new SavedRequest();
        saved.setMethod(line.get(0));
        saved.setQueryString(line.get(1));
        saved.setRequestURI(line.get(2));
        saved.setDecodedRequestURI(line.get(3));
        saved.setContentType(line.get(4));
        if (body != null) {
            ByteChunk chunk = new ByteChunk();
            chunk.setBytes(body, 0, body.length);
            saved.setBody(chunk);
        }
        if (maxInactiveInterval != null) {
            internals.setOriginalMaxInactiveInterval(saved, maxInactiveInterval);
        }
        for (int i = 0; i + 1 < headers.size(); i += 2) {
            saved.addHeader(headers.get(i), headers.get(i + 1));
        }
        for (int i = 0; i + 1 < cookies.size(); i += 2) {
            saved.addCookie(new Cookie(cookies.get(i), cookies.get(i + 1)));
        }
        for (String tag : locales) {
            saved.addLocale(Locale.forLanguageTag(tag));
        }
        return saved;
    }

    void write(WireWriter out) {
        for (String text : line) {
            out.writeText(text);
        }
        out.writeBytes(body);
        out.writeBoolean(maxInactiveInterval != null);
        if (maxInactiveInterval != null) {
            out.writeInt(maxInactiveInterval);
        }
        out.writeTexts(headers);
        out.writeTexts(cookies);
        out.writeTexts(locales);
    }

    static FormRequest read(DataInputStream in) throws IOException {
        List<String> line = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
            line.add(Wire.readText(in));
        }
        byte[] body = Wire.readBytes(in);
        Integer maxInactiveInterval = in.readBoolean() ? Integer.valueOf(in.readInt()) : null;
        return new FormRequest(line, body, maxInactiveInterval, Wire.readTexts(in), Wire.readTexts(in), Wire.readTexts(in));
    }
}
