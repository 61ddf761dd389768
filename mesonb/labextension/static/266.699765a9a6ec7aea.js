"use strict";(self.rspackChunkmesonb=self.rspackChunkmesonb||[]).push([[266],{646(e,o,t){var n=t(601),r=t.n(n),a=t(314),i=(t.n(a))()(r());i.push([e.id,`/* What the extension adds to JupyterLab; colours are the theme's. The board brings its own style. */

.mesonb-sidebar,
.mesonb-tab {
  background: var(--jp-layout-color1);
  color: var(--jp-ui-font-color1);
  font-family: var(--jp-ui-font-family);
  font-size: var(--jp-ui-font-size1);
  overflow: auto;
}

.mesonb-sidebar {
  min-width: 260px;
}

.mesonb-caption {
  margin: 0;
  padding: 8px 12px;
  border-bottom: 1px solid var(--jp-border-color2);
  color: var(--jp-ui-font-color1);
  font-size: var(--jp-ui-font-size1);
  font-weight: 600;
  overflow: hidden;
  text-overflow: ellipsis;
  white-space: nowrap;
}

.mesonb-reason {
  margin: 0;
  padding: 10px 12px 6px;
  color: var(--jp-ui-font-color2);
  line-height: 1.45;
}

.mesonb-code {
  margin: 4px 12px 8px;
  padding: 8px 10px;
  border: 1px solid var(--jp-border-color2);
  border-radius: 4px;
  background: var(--jp-layout-color2);
  color: var(--jp-ui-font-color1);
  font-family: var(--jp-code-font-family);
  font-size: var(--jp-code-font-size);
}

.mesonb-sidebar .mesonb-code + button {
  margin-left: 12px;
}

.mesonb-list {
  list-style: none;
  margin: 0;
  padding: 4px 0;
}

.mesonb-list li {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 2px 4px;
  padding: 2px 8px;
  border-left: 3px solid transparent;
}

.mesonb-list li.mesonb-mod-chosen {
  border-left-color: var(--jp-brand-color1);
  background: var(--jp-layout-color2);
}

.mesonb-counts {
  flex: 1;
  color: var(--jp-ui-font-color2);
  font-variant-numeric: tabular-nums;
  white-space: nowrap;
}

button.mesonb-button.jp-mod-styled {
  height: 24px;
  min-width: 0;
  padding: 0 6px;
  border: 1px solid transparent;
  border-radius: 4px;
  color: var(--jp-ui-font-color1);
  font-size: var(--jp-ui-font-size1);
  line-height: 22px;
}

button.mesonb-button.jp-mod-styled:not(.mesonb-name) {
  border-color: var(--jp-border-color1);
}

button.mesonb-name.jp-mod-styled {
  font-weight: 600;
}

.mesonb-button:focus-visible,
.mesonb-status button:focus-visible {
  outline: 2px solid var(--jp-brand-color1);
  outline-offset: -1px;
}

.mesonb-tab {
  display: flex;
  flex-direction: column;
}

.mesonb-tab .mesonb-view {
  flex: 1;
  min-height: 0;
}

.mesonb-view > .mesonb {
  margin: 4px;
}

.mesonb-frame {
  display: block;
  width: 100%;
  height: 100%;
  min-height: 320px;
  border: 0;
}

.mesonb-status button {
  height: 100%;
  padding: 0 6px;
  border: 0;
  background: none;
  color: inherit;
  font: inherit;
  font-variant-numeric: tabular-nums;
  cursor: pointer;
}

.mesonb-status button:hover {
  background: var(--jp-layout-color3);
}
`,""]),t.d(o,{},{A:i})},314(e){e.exports=function(e){var o=[];return o.toString=function(){return this.map(function(o){var t="",n=void 0!==o[5];return o[4]&&(t+="@supports (".concat(o[4],") {")),o[2]&&(t+="@media ".concat(o[2]," {")),n&&(t+="@layer".concat(o[5].length>0?" ".concat(o[5]):""," {")),t+=e(o),n&&(t+="}"),o[2]&&(t+="}"),o[4]&&(t+="}"),t}).join("")},o.i=function(e,t,n,r,a){"string"==typeof e&&(e=[[null,e,void 0]]);var i={};if(n)for(var s=0;s<this.length;s++){var c=this[s][0];null!=c&&(i[c]=!0)}for(var p=0;p<e.length;p++){var l=[].concat(e[p]);n&&i[l[0]]||(void 0!==a&&(void 0===l[5]||(l[1]="@layer".concat(l[5].length>0?" ".concat(l[5]):""," {").concat(l[1],"}")),l[5]=a),t&&(l[2]&&(l[1]="@media ".concat(l[2]," {").concat(l[1],"}")),l[2]=t),r&&(l[4]?(l[1]="@supports (".concat(l[4],") {").concat(l[1],"}"),l[4]=r):l[4]="".concat(r)),o.push(l))}},o}},601(e){e.exports=function(e){return e[1]}},665(e,o,t){t.r(o);var n=t(72),r=t.n(n),a=t(825),i=t.n(a),s=t(659),c=t.n(s),p=t(56),l=t.n(p),u=t(540),d=t.n(u),f=t(113),m=t.n(f),b=t(646),v={};v.styleTagTransform=m(),v.setAttributes=l(),v.insert=c().bind(null,"head"),v.domAPI=i(),v.insertStyleElement=d(),r()(b.A,v);let h=b.A&&b.A.locals?b.A.locals:void 0;t.d(o,{},{default:h})},72(e){var o=[];function t(e){for(var t=-1,n=0;n<o.length;n++)if(o[n].identifier===e){t=n;break}return t}function n(e,n){for(var r={},a=[],i=0;i<e.length;i++){var s=e[i],c=n.base?s[0]+n.base:s[0],p=r[c]||0,l="".concat(c," ").concat(p);r[c]=p+1;var u=t(l),d={css:s[1],media:s[2],sourceMap:s[3],supports:s[4],layer:s[5]};if(-1!==u)o[u].references++,o[u].updater(d);else{var f=function(e,o){var t=o.domAPI(o);return t.update(e),function(o){o?(o.css!==e.css||o.media!==e.media||o.sourceMap!==e.sourceMap||o.supports!==e.supports||o.layer!==e.layer)&&t.update(e=o):t.remove()}}(d,n);n.byIndex=i,o.splice(i,0,{identifier:l,updater:f,references:1})}a.push(l)}return a}e.exports=function(e,r){var a=n(e=e||[],r=r||{});return function(e){e=e||[];for(var i=0;i<a.length;i++){var s=t(a[i]);o[s].references--}for(var c=n(e,r),p=0;p<a.length;p++){var l=t(a[p]);0===o[l].references&&(o[l].updater(),o.splice(l,1))}a=c}}},659(e){var o={};e.exports=function(e,t){var n=function(e){if(void 0===o[e]){var t=document.querySelector(e);if(window.HTMLIFrameElement&&t instanceof window.HTMLIFrameElement)try{t=t.contentDocument.head}catch(e){t=null}o[e]=t}return o[e]}(e);if(!n)throw Error("Couldn't find a style target. This probably means that the value for the 'insert' parameter is invalid.");n.appendChild(t)}},540(e){e.exports=function(e){var o=document.createElement("style");return e.setAttributes(o,e.attributes),e.insert(o,e.options),o}},56(e,o,t){e.exports=function(e){var o=t.nc;o&&e.setAttribute("nonce",o)}},825(e){e.exports=function(e){if("u"<typeof document)return{update:function(){},remove:function(){}};var o=e.insertStyleElement(e);return{update:function(t){var n,r,a;n="",t.supports&&(n+="@supports (".concat(t.supports,") {")),t.media&&(n+="@media ".concat(t.media," {")),(r=void 0!==t.layer)&&(n+="@layer".concat(t.layer.length>0?" ".concat(t.layer):""," {")),n+=t.css,r&&(n+="}"),t.media&&(n+="}"),t.supports&&(n+="}"),(a=t.sourceMap)&&"u">typeof btoa&&(n+="\n/*# sourceMappingURL=data:application/json;base64,".concat(btoa(unescape(encodeURIComponent(JSON.stringify(a))))," */")),e.styleTagTransform(n,o,e.options)},remove:function(){var e;null===(e=o).parentNode||e.parentNode.removeChild(e)}}}},113(e){e.exports=function(e,o){if(o.styleSheet)o.styleSheet.cssText=e;else{for(;o.firstChild;)o.removeChild(o.firstChild);o.appendChild(document.createTextNode(e))}}}}]);