<%@ page contentType="text/plain;charset=UTF-8" %><%
    Integer visits = (Integer) session.getAttribute("visits");
    session.setAttribute("visits", visits == null ? 1 : visits + 1);
%>session <%= session.getId() %>
created <%= session.getCreationTime() %>
value visits <%= session.getAttribute("visits") %>
node <%= rehydra.Node.name() %>
user <%= request.getRemoteUser() %>
customer <%= request.isUserInRole("customer") %>
query <%= request.getQueryString() %>
