// What a page's own code sees of its headers. Playwright's evaluate would run above some of them.
const seen = {
  title: document.title,
  cluster: window.originAgentCluster,
  camera: document.featurePolicy.allowsFeature("camera"),
  isolated: window.crossOriginIsolated,
  color: getComputedStyle(document.getElementById("inline")).color,
};
document.getElementById("inline").click();
seen.handler = document.title;
try {
  seen.evaluated = eval("1 + 1");
} catch (error) {
  seen.evaluated = error.name;
}
const script = document.createElement("script");
script.src = "plain.txt";
script.onload = () => (seen.sniffed = "ran");
script.onerror = () => (seen.sniffed = "refused");
document.body.append(script);
fetch("http://127.0.0.1:1/").catch(() => (seen.connected = "refused"));
window.seen = seen;
