import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.regex.Pattern;

class Before {
  public static void main(String[] args) throws Exception {
    String baseUrl = System.getenv("CLEAR_URL");
    HttpClient client = HttpClient.newHttpClient();

    HttpRequest mint = HttpRequest.newBuilder(URI.create(baseUrl + "/integration/v1/authz/token"))
        .header("x-clear-client-secret", System.getenv("CLIENT_SECRET"))
        .build();
    var field = Pattern.compile("\"access_token\":\"([^\"]*)\"")
        .matcher(client.send(mint, BodyHandlers.ofString()).body());
    if (!field.find()) throw new IllegalStateException("no token");

    HttpRequest call = HttpRequest.newBuilder(URI.create(baseUrl + "/einv/v2/eInvoice/generate"))
        .header("content-type", "application/json")
        .header("gstin", "29AAFCD5862R000")
        .header("x-cleartax-auth-token", field.group(1))
        .PUT(BodyPublishers.ofString("""
            [{"transaction": {"DocDtls": {"Typ": "INV", "No": "J/001", "Dt": "01/04/2026"}}}]"""))
        .build();
    var answer = client.send(call, BodyHandlers.ofString());
    System.out.println(answer.statusCode() + " " + answer.body());
  }
}
