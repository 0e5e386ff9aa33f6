<%@ page isErrorPage="true" contentType="text/plain;charset=UTF-8" %><%
    // An error page that uses the session too.
    session.setAttribute("failed", "yes");
%>error <%= response.getStatus() %>
