<%@ page contentType="text/html;charset=UTF-8" %><!DOCTYPE html>
<title>Log in</title>
<form method="post" action="<%= response.encodeURL("j_security_check") %>">
  <input name="j_username"> <input name="j_password" type="password"> <button>Log in</button>
</form>
