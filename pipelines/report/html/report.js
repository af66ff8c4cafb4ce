// A link to examples opens what they are folded into; on paper nothing is folded.
const reveal = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let each = target; each; each = each.parentElement) if (each.matches("details")) each.open = true;
  if (target) target.scrollIntoView({block: "center"});
};
addEventListener("hashchange", reveal);
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => { each.open = true; }));
if (location.hash) reveal();
