import { createRoot } from "react-dom/client";
import { App } from "./app/app";
import { AppProvider } from "./app/context";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/home.css";
import "./styles/map.css";
import "./styles/traces.css";
import "./styles/explore.css";

const root = document.getElementById("root");
if (root === null) throw new Error("BUG: index.html has no #root");
createRoot(root).render(
  <AppProvider>
    <App />
  </AppProvider>,
);
